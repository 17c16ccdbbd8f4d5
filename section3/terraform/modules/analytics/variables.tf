variable "name" {
  description = "Prefix of names."
  type        = string
}

variable "database" {
  description = "Name of the Glue database."
  type        = string
}

variable "facts" {
  description = "Name of the pipe and delivery stream of facts."
  type        = string
}

variable "workgroup" {
  description = "Name of the analysts' Athena workgroup."
  type        = string
}

variable "buckets" {
  description = "Names of the buckets `analytics` and `results`."
  type        = map(string)
}

variable "access_log_bucket" {
  description = "Where their requests are logged."
  type        = string
}

variable "feed_arn" {
  description = "The catalogue's stream of changes."
  type        = string
}

variable "key_arn" {
  description = "The KMS key of facts, counts and results."
  type        = string
}

variable "role_arns" {
  description = "Roles by their short names."
  type        = map(string)
}

variable "retention" {
  description = "The ages of names.tf."
  type        = object({ facts_days = number, aggregates_days = number, results_days = number })
}

variable "protect" {
  description = "Refuse to delete the buckets while they hold something."
  type        = bool
}
