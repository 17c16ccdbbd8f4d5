# Key policies are the only way to the data keys: IAM policies of the account cannot add a reader.
locals {
  root      = "arn:aws:iam::${var.account_id}:root"
  own_roles = { for name, role in aws_iam_role.service : name => role.arn }

  readers = [for name in ["upload-api", "read-api", "processor", "stream-sink", "facts-delivery", "facts-pipe", "rollup", "task-execution"] : local.own_roles[name]]
  writers = [for name in ["upload-api", "processor", "stream-sink", "facts-delivery", "facts-pipe", "rollup"] : local.own_roles[name]]

  # Services that encrypt on their own behalf, each for this account only.
  key_users = ["cloudwatch.amazonaws.com", "logs.${var.region}.amazonaws.com", "s3.amazonaws.com", "scheduler.amazonaws.com"]
}

resource "aws_kms_key" "data" {
  #checkov:skip=CKV2_AWS_64:Its policy is aws_kms_key_policy.data, apart, as it names roles that exist only later
  description             = "${var.name}: images, metadata, messages, topics, logs and counts"
  enable_key_rotation     = true
  deletion_window_in_days = var.protect ? 30 : 7
}

resource "aws_kms_alias" "data" {
  name          = "alias/${var.name}-data"
  target_key_id = aws_kms_key.data.id
}

resource "aws_kms_key_policy" "data" {
  key_id = aws_kms_key.data.id
  policy = data.aws_iam_policy_document.data_key.json
}

# In a key's policy the resource "*" means this key.
data "aws_iam_policy_document" "data_key" {
  #checkov:skip=CKV_AWS_111:In a key's policy the resource * is the key itself
  #checkov:skip=CKV_AWS_356:In a key's policy the resource * is the key itself
  #checkov:skip=CKV_AWS_109:Administration without the right to decrypt; without it the key could not be changed by anyone
  statement {
    sid       = "AdministerWithoutReading"
    resources = ["*"]
    actions = [
      "kms:CancelKeyDeletion", "kms:DescribeKey", "kms:EnableKeyRotation", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus",
      "kms:ListGrants", "kms:ListKeyPolicies", "kms:ListResourceTags", "kms:PutKeyPolicy", "kms:RevokeGrant",
      "kms:ScheduleKeyDeletion", "kms:TagResource", "kms:UntagResource", "kms:UpdateKeyDescription", "kms:CreateAlias",
      "kms:DeleteAlias",
    ]

    principals {
      type        = "AWS"
      identifiers = [local.root]
    }
  }

  # DynamoDB, MSK and others keep a grant for what they store, given on behalf of whoever deploys.
  statement {
    sid       = "LetServicesHoldGrants"
    actions   = ["kms:CreateGrant"]
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = [local.root]
    }

    condition {
      test     = "Bool"
      variable = "kms:GrantIsForAWSResource"
      values   = ["true"]
    }
  }

  # Creating an encrypted table, function or repository uses the key on behalf of the one role that deploys.
  statement {
    sid       = "OnlyTheDeployerThroughServices"
    actions   = ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"]
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = [local.root]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:PrincipalArn"
      values   = [var.deployer_arn]
    }

    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = [for service in ["dynamodb", "ecr", "lambda", "secretsmanager"] : "${service}.${var.region}.amazonaws.com"]
    }
  }

  statement {
    sid       = "OperationsRedriveMessages"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = [aws_iam_role.team["operations"].arn]
    }

    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = ["sqs.${var.region}.amazonaws.com"]
    }
  }

  statement {
    sid       = "TheCdnReads"
    actions   = ["kms:Decrypt"]
    resources = ["*"]

    principals {
      type        = "Service"
      identifiers = ["cloudfront.amazonaws.com"]
    }

    condition {
      test     = "ArnLike"
      variable = "aws:SourceArn"
      values   = ["arn:aws:cloudfront::${var.account_id}:distribution/*"]
    }
  }

  statement {
    sid       = "Read"
    actions   = ["kms:Decrypt"]
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = concat(local.readers, [aws_iam_role.team["analytics"].arn])
    }
  }

  statement {
    sid       = "Write"
    actions   = ["kms:GenerateDataKey"]
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = concat(local.writers, [aws_iam_role.team["analytics"].arn])
    }
  }

  statement {
    sid       = "ServicesOfThisAccount"
    actions   = ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*", "kms:DescribeKey"]
    resources = ["*"]

    principals {
      type        = "Service"
      identifiers = local.key_users
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [var.account_id]
    }
  }
}

resource "aws_kms_key" "audit" {
  description             = "${var.name}: the audit trail, which nobody who runs the platform can decrypt"
  enable_key_rotation     = true
  deletion_window_in_days = var.protect ? 30 : 7
  policy                  = data.aws_iam_policy_document.audit_key.json
}

data "aws_iam_policy_document" "audit_key" {
  #checkov:skip=CKV_AWS_111:In a key's policy the resource * is the key itself
  #checkov:skip=CKV_AWS_356:In a key's policy the resource * is the key itself
  #checkov:skip=CKV_AWS_109:Administration without the right to decrypt
  statement {
    sid       = "AdministerWithoutReading"
    actions   = ["kms:DescribeKey", "kms:Get*", "kms:List*", "kms:PutKeyPolicy", "kms:EnableKeyRotation", "kms:ScheduleKeyDeletion", "kms:CancelKeyDeletion", "kms:TagResource"]
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = [local.root]
    }
  }

  statement {
    sid       = "TheTrailWrites"
    actions   = ["kms:GenerateDataKey*", "kms:DescribeKey"]
    resources = ["*"]

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
    sid       = "TheAuditorsRead"
    actions   = ["kms:Decrypt"]
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = [aws_iam_role.team["audit"].arn]
    }
  }
}
