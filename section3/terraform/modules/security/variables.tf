variable "name" {
  description = "Prefix of names."
  type        = string
}

variable "account_id" {
  description = "The AWS account."
  type        = string
}

variable "region" {
  description = "Where the platform runs."
  type        = string
}

variable "deployer_arn" {
  description = "The role that deploys."
  type        = string
}

variable "arns" {
  description = "ARNs of names.tf, which policies name."
  type        = map(string)
}

variable "bucket_arns" {
  description = "ARNs of the buckets, by short name."
  type        = map(string)
}

variable "buckets" {
  description = "Names of the buckets, by short name."
  type        = map(string)
}

variable "retention" {
  description = "The ages of names.tf."
  type        = object({ audit_days = number, access_logs_days = number, logs_days = number })
}

variable "protect" {
  description = "Refuse to delete buckets that hold something; keep a deleted key for 30 days."
  type        = bool
}
