variable "name" {
  description = "Prefix of names."
  type        = string
}

variable "region" {
  description = "Whose first three zones are used."
  type        = string
}

variable "producer_cidr_blocks" {
  description = "Where Kafka producers connect from."
  type        = list(string)
}

variable "key_arn" {
  description = "The KMS key of the logs."
  type        = string
}

variable "logs_days" {
  description = "Days that logs are kept."
  type        = number
}

variable "flow_log_role_arn" {
  description = "Who may write the flow log."
  type        = string
}

variable "bucket_arns" {
  description = "The only buckets that can be reached from here."
  type        = map(string)
}

variable "table_arn" {
  description = "The only table that can be reached from here."
  type        = string
}
