variable "table" {
  description = "The table's name."
  type        = string
}

variable "key_arn" {
  description = "The KMS key of the table."
  type        = string
}

variable "backup_days" {
  description = "How far back it can be restored; deleted items are in there as long."
  type        = number
}

variable "protect" {
  description = "Refuse to delete the table."
  type        = bool
}
