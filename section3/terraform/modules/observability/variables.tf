variable "name" {
  description = "Prefix of names."
  type        = string
}

variable "region" {
  description = "Whose metrics are shown."
  type        = string
}

variable "key_arn" {
  description = "The KMS key of alarms on their way."
  type        = string
}

variable "alarm_email" {
  description = "Who is told."
  type        = string
}

variable "largest_bytes" {
  description = "What nine days of images can be at most, twice what is stored today; more means that nothing is purged."
  type        = number
  default     = 9000000000000
}

variable "queue" {
  description = "The upload queue."
  type        = string
}

variable "dead_letter" {
  description = "The queue of what failed."
  type        = string
}

variable "table" {
  description = "The catalogue."
  type        = string
}

variable "bucket" {
  description = "The images bucket."
  type        = string
}

variable "kafka" {
  description = "The Kafka cluster."
  type        = string
}

variable "functions" {
  description = "The two APIs."
  type        = object({ upload = string, read = string })
}

variable "facts" {
  description = "The delivery stream of facts."
  type        = string
}
