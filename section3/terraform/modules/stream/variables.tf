variable "with_brokers" {
  description = "False only on a stand-in without Kafka: see the root's variable."
  type        = bool
}

variable "brokers" {
  description = "How many, a multiple of three, and the disk of each in GB."
  type        = object({ count = number, gigabytes = number })
}

variable "cluster" {
  description = "Name of the Kafka cluster."
  type        = string
}

variable "subnet_ids" {
  description = "One broker in each."
  type        = list(string)
}

variable "security_group_id" {
  description = "Who reaches the brokers."
  type        = string
}

variable "key_arn" {
  description = "The KMS key of the brokers' disks and logs."
  type        = string
}

variable "topic_hours" {
  description = "How long a topic keeps a record."
  type        = number
}

variable "logs_days" {
  description = "Days that logs are kept."
  type        = number
}
