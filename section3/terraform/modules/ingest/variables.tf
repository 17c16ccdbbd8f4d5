variable "bucket" {
  description = "Name of the images bucket."
  type        = string
}

variable "access_log_bucket" {
  description = "Where its requests are logged."
  type        = string
}

variable "queue" {
  description = "Name of the upload queue."
  type        = string
}

variable "queue_arn" {
  description = "Its ARN, which its own policy names."
  type        = string
}

variable "dead_letter" {
  description = "Name of the queue of what failed five times."
  type        = string
}

variable "function" {
  description = "Name of the upload API."
  type        = string
}

variable "role_arn" {
  description = "What the upload API may do."
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
  description = "The KMS key of images, messages and logs."
  type        = string
}

variable "distribution_arn" {
  description = "The only reader from outside."
  type        = string
}

variable "retention" {
  description = "The ages of names.tf."
  type        = object({ images_days = number, queue_seconds = number, dead_letter_seconds = number, logs_days = number })
}

variable "protect" {
  description = "Refuse to delete the bucket while it holds something."
  type        = bool
}
