# upload API -> images bucket -> upload queue
module "bucket" {
  source = "../bucket"

  name              = var.bucket
  key_arn           = var.key_arn
  expire_after_days = { purge = { prefix = "", days = var.retention.images_days } }
  access_log_bucket = var.access_log_bucket
  policies          = [data.aws_iam_policy_document.delivery.json]
  protect           = var.protect
}

data "aws_iam_policy_document" "delivery" {
  statement {
    sid       = "OnlyOurDistribution"
    actions   = ["s3:GetObject"]
    resources = ["arn:aws:s3:::${var.bucket}/*"]

    principals {
      type        = "Service"
      identifiers = ["cloudfront.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceArn"
      values   = [var.distribution_arn]
    }
  }
}

resource "aws_sqs_queue" "uploaded" {
  name                       = var.queue
  message_retention_seconds  = var.retention.queue_seconds
  visibility_timeout_seconds = 60 # several times what one image takes
  receive_wait_time_seconds  = 20
  kms_master_key_id          = var.key_arn
  policy                     = data.aws_iam_policy_document.queue.json

  redrive_policy = jsonencode({ deadLetterTargetArn = aws_sqs_queue.dead_letter.arn, maxReceiveCount = 5 })
}

resource "aws_sqs_queue" "dead_letter" {
  name                      = var.dead_letter
  message_retention_seconds = var.retention.dead_letter_seconds
  kms_master_key_id         = var.key_arn
}

data "aws_iam_policy_document" "queue" {
  statement {
    sid       = "OnlyOurBucket"
    actions   = ["sqs:SendMessage"]
    resources = [var.queue_arn]

    principals {
      type        = "Service"
      identifiers = ["s3.amazonaws.com"]
    }

    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = ["arn:aws:s3:::${var.bucket}"]
    }
  }
}

resource "aws_s3_bucket_notification" "uploaded" {
  bucket = module.bucket.id

  queue {
    queue_arn     = aws_sqs_queue.uploaded.arn
    events        = ["s3:ObjectCreated:*"]
    filter_prefix = "original/" # what the workers write back goes to processed/ and must not come round again
  }
}

module "upload_api" {
  source = "../function_api"

  function    = var.function
  role_arn    = var.role_arn
  image_uri   = var.image_uri
  route       = "POST /images"
  identity    = var.identity
  key_arn     = var.key_arn
  logs_days   = var.retention.logs_days
  environment = { BUCKET = var.bucket, PREFIX = "original/", LARGEST_BYTES = "10485760" }
}
