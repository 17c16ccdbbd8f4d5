variable "function" {
  description = "Name of the function and its API."
  type        = string
}

variable "role_arn" {
  description = "What the function may do."
  type        = string
}

variable "image_uri" {
  description = "Its container."
  type        = string
}

variable "environment" {
  description = "What it is told; no secret."
  type        = map(string)
}

variable "route" {
  description = "Method and path, for example POST /images."
  type        = string
}

variable "identity" {
  description = "Whose tokens are accepted."
  type        = object({ issuer = string, audience = string })
}

variable "key_arn" {
  description = "The KMS key of its logs and environment."
  type        = string
}

variable "requests_per_second" {
  description = "More than this is answered with 429; bursts may be twice that."
  type        = number
  default     = 3000
}

variable "concurrency" {
  description = "Requests in work at a time: requests a second times seconds each, and room."
  type        = number
  default     = 400
}

variable "logs_days" {
  description = "Days that logs are kept."
  type        = number
}
