variable "name" {
  description = "Prefix of names."
  type        = string
}

variable "with_autoscaling" {
  description = "False only on a stand-in without it: see the root's variable."
  type        = bool
}

variable "region" {
  description = "Where the logs are."
  type        = string
}

variable "image_tag" {
  description = "Which build runs."
  type        = string
}

variable "workers" {
  description = "Processing tasks, at least and at most."
  type        = object({ least = number, most = number })
}

variable "backlog_per_task" {
  description = "Messages that may wait for each task: the seconds of delay that are accepted, over the seconds an image takes."
  type        = number
  default     = 20
}

variable "subnet_ids" {
  description = "Where tasks run; one in each zone."
  type        = list(string)
}

variable "security_group_id" {
  description = "What tasks may reach."
  type        = string
}

variable "key_arn" {
  description = "The KMS key of builds and logs."
  type        = string
}

variable "role_arns" {
  description = "Roles by their short names."
  type        = map(string)
}

variable "queue" {
  description = "The upload queue."
  type        = object({ name = string, url = string })
}

variable "bucket" {
  description = "The images bucket."
  type        = string
}

variable "table" {
  description = "The catalogue."
  type        = string
}

variable "kafka" {
  description = "The stream."
  type        = object({ cluster = string, brokers = string })
}

variable "images_days" {
  description = "What `expires_at` is set to, after the upload."
  type        = number
}

variable "logs_days" {
  description = "Days that logs are kept."
  type        = number
}
