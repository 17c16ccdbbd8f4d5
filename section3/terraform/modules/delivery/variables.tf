variable "name" {
  description = "Prefix of names."
  type        = string
}

variable "function" {
  description = "Name of the read API."
  type        = string
}

variable "role_arn" {
  description = "What the read API may do."
  type        = string
}

variable "image_uri" {
  description = "Its container."
  type        = string
}

variable "identity" {
  description = "Whose tokens are accepted."
  type        = object({ issuer = string, audience = string })
}

variable "key_arn" {
  description = "The KMS key of logs and of the signing key."
  type        = string
}

variable "bucket_domain" {
  description = "The images bucket's address."
  type        = string
}

variable "access_log_bucket" {
  description = "Where requests are logged."
  type        = string
}

variable "signing_public_key" {
  description = "PEM; its private half signs addresses."
  type        = string
}

variable "signing_key" {
  description = "Name of the secret with the private half."
  type        = string
}

variable "table" {
  description = "The catalogue."
  type        = string
}

variable "logs_days" {
  description = "Days that logs are kept."
  type        = number
}

variable "protect" {
  description = "Let a deleted secret be restored for a week."
  type        = bool
}
