variable "name" {
  description = "Prefix of every name; two stacks of one account differ in it. A cell of the platform is one stack."
  type        = string
  default     = "images"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,14}$", var.name))
    error_message = "Two to fifteen lower-case letters, digits and hyphens: bucket names are built from it."
  }
}

variable "account_id" {
  description = "The AWS account's twelve digits; names and roles are built from it, so that a plan shows them whole."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "Twelve digits; `aws sts get-caller-identity --query Account` prints them."
  }
}

variable "region" {
  description = "Where the platform runs; section3/conf/prices.yaml holds this region's prices."
  type        = string
  default     = "us-east-1"
}

variable "deployer_arn" {
  description = <<-TEXT
    The role that deploys: the data key lets no other create what it encrypts. It is there before the stack and not made
    by it, as whoever creates networks and keys needs rights that cannot name them.
  TEXT
  type        = string

  validation {
    condition     = can(regex("^arn:aws:iam::[0-9]{12}:role/[^*?]+$", var.deployer_arn))
    error_message = "The ARN of one role, as `aws iam get-role` prints it."
  }
}

variable "identity_issuer" {
  description = "The company's OpenID Connect provider, whose tokens the two APIs accept."
  type        = string
}

variable "identity_audience" {
  description = "The audience that a token must be made out to."
  type        = string
  default     = "image-platform"
}

variable "signing_public_key" {
  description = "PEM of the RSA key whose private half signs image addresses; the read API reads it from Secrets Manager."
  type        = string
}

variable "producer_cidr_blocks" {
  description = "Where the second application's Kafka producers connect from, over peering or a VPN."
  type        = list(string)
  default     = ["10.64.0.0/16"]
}

variable "alarm_email" {
  description = "Who is told of an alarm."
  type        = string
}

variable "image_tag" {
  description = "Which build of the containers runs; tags are immutable, so a roll-back is an older tag."
  type        = string
  default     = "1.0.0"
}

variable "brokers" {
  description = "Kafka brokers, a multiple of three, and the disk of each in GB. `section3_manage.py simulate` says how many."
  type        = object({ count = number, gigabytes = number })
  default     = { count = 3, gigabytes = 200 }

  validation {
    condition     = var.brokers.count > 0 && var.brokers.count % 3 == 0
    error_message = "Each of the three zones has the same number of brokers."
  }
}

variable "workers" {
  description = "Processing tasks: at least this many, at most that many. `section3_manage.py simulate` says how many."
  type        = object({ least = number, most = number })
  default     = { least = 6, most = 18 }
}

variable "protect" {
  description = "Refuse to delete tables and buckets that hold data; false for a stack that comes and goes."
  type        = bool
  default     = true
}

variable "with_brokers" {
  description = <<-TEXT
    Always true on AWS. moto, the local stand-in, has no brokers: POST /v1/configurations is answered with "404 Not
    Found", a cluster without a configuration stays in the state CREATING, and GET bootstrap-brokers is "404 Not Found".
  TEXT
  type        = bool
  default     = true
}

variable "with_autoscaling" {
  description = <<-TEXT
    Always true on AWS. moto, the local stand-in, registers a scalable target and then answers the provider's
    ListTagsForResource with 500, "NotImplementedError: The list_tags_for_resource action has not been implemented".
  TEXT
  type        = bool
  default     = true
}
