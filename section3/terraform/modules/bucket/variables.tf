variable "name" {
  description = "The bucket's name."
  type        = string
}

variable "key_arn" {
  description = "The KMS key; null for S3's own, which access logs need."
  type        = string
  default     = null
}

variable "expire_after_days" {
  description = "Lifecycle rules by name: everything under a prefix (empty: the whole bucket) goes after so many days."
  type        = map(object({ prefix = string, days = number }))
}

variable "access_log_bucket" {
  description = "Where requests are logged; null for the bucket of logs itself."
  type        = string
  default     = null
}

variable "versioned" {
  description = "Keep what is overwritten or deleted for one more day; for what must not be tampered with."
  type        = bool
  default     = false
}

variable "is_access_logs" {
  description = "It takes the others' access logs, and those of CloudFront by an ACL; it has no log of its own."
  type        = bool
  default     = false
}

variable "policies" {
  description = "Further bucket policies, as JSON."
  type        = list(string)
  default     = []
}

variable "protect" {
  description = "Refuse to delete the bucket while it holds something."
  type        = bool
}
