# Who did what, in a bucket that those who run the platform cannot change: kept a year, without images or metadata.
locals {
  trail_arn = "arn:aws:cloudtrail:${var.region}:${var.account_id}:trail/${var.name}"
}

module "audit" {
  source = "../bucket"

  name              = var.buckets.audit
  key_arn           = aws_kms_key.audit.arn
  expire_after_days = { audit = { prefix = "", days = var.retention.audit_days } }
  access_log_bucket = module.access_logs.id
  versioned         = true
  policies          = [data.aws_iam_policy_document.audit.json]
  protect           = var.protect
}

data "aws_iam_policy_document" "audit" {
  statement {
    sid       = "TheTrailLooks"
    actions   = ["s3:GetBucketAcl"]
    resources = [var.bucket_arns.audit]

    principals {
      type        = "Service"
      identifiers = ["cloudtrail.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceArn"
      values   = [local.trail_arn]
    }
  }

  statement {
    sid       = "TheTrailWrites"
    actions   = ["s3:PutObject"]
    resources = ["${var.bucket_arns.audit}/AWSLogs/${var.account_id}/*"]

    principals {
      type        = "Service"
      identifiers = ["cloudtrail.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceArn"
      values   = [local.trail_arn]
    }
  }
}

resource "aws_cloudtrail" "this" {
  #checkov:skip=CKV_AWS_252:Auditors read it; the alarms on it are CloudWatch's
  name                       = var.name
  s3_bucket_name             = module.audit.id
  kms_key_id                 = aws_kms_key.audit.arn
  cloud_watch_logs_group_arn = "${aws_cloudwatch_log_group.trail.arn}:*"
  cloud_watch_logs_role_arn  = aws_iam_role.service["trail"].arn
  enable_log_file_validation = true
  is_multi_region_trail      = true

  # People reading images, apart from the programs that do it a thousand times a second, is worth a record.
  advanced_event_selector {
    name = "management"

    field_selector {
      field  = "eventCategory"
      equals = ["Management"]
    }
  }

  advanced_event_selector {
    name = "images read or deleted by people"

    field_selector {
      field  = "eventCategory"
      equals = ["Data"]
    }

    field_selector {
      field  = "resources.type"
      equals = ["AWS::S3::Object"]
    }

    field_selector {
      field       = "resources.ARN"
      starts_with = ["${var.bucket_arns.images}/"]
    }

    field_selector {
      field           = "userIdentity.arn"
      not_starts_with = [for program in ["processor", "stream-sink", "upload-api"] : "arn:aws:sts::${var.account_id}:assumed-role/${var.name}-${program}/"]
    }
  }

  depends_on = [aws_iam_role_policy.service]
}

resource "aws_cloudwatch_log_group" "trail" {
  #checkov:skip=CKV_AWS_338:The bucket keeps the year; this copy is for alarms
  name              = "/${var.name}/trail"
  retention_in_days = var.retention.logs_days
  kms_key_id        = aws_kms_key.data.arn

  depends_on = [aws_kms_key_policy.data]
}

# Requests to buckets and to the CDN. Addresses of images are in it, so it goes when they go.
module "access_logs" {
  source = "../bucket"

  name              = var.buckets["access-logs"]
  expire_after_days = { access-logs = { prefix = "", days = var.retention.access_logs_days } }
  is_access_logs    = true
  policies          = [data.aws_iam_policy_document.access_logs.json]
  protect           = var.protect
}

data "aws_iam_policy_document" "access_logs" {
  statement {
    sid       = "S3Delivers"
    actions   = ["s3:PutObject"]
    resources = ["${var.bucket_arns["access-logs"]}/*"]

    principals {
      type        = "Service"
      identifiers = ["logging.s3.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [var.account_id]
    }
  }
}
