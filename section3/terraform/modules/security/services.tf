# What each program and service may do. A statement names its resources; a test refuses "*".
locals {
  images     = "${var.bucket_arns.images}/original/*"
  processed  = "${var.bucket_arns.images}/processed/*"
  facts_path = "${var.bucket_arns.analytics}/facts/*"

  services = {
    upload-api = {
      principal = "lambda.amazonaws.com"
      allow = [
        { actions = ["s3:PutObject"], resources = [local.images] }, # signs addresses with its own rights
        { actions = ["logs:CreateLogStream", "logs:PutLogEvents"], resources = ["${var.arns.api_logs}:*"] },
      ]
    }
    read-api = {
      principal = "lambda.amazonaws.com"
      allow = [
        { actions = ["dynamodb:GetItem", "dynamodb:Query"], resources = [var.arns.table, var.arns.table_index] },
        { actions = ["secretsmanager:GetSecretValue"], resources = [var.arns.signing_key] },
        { actions = ["logs:CreateLogStream", "logs:PutLogEvents"], resources = ["${var.arns.api_logs}:*"] },
      ]
    }
    processor = {
      principal = "ecs-tasks.amazonaws.com"
      allow = [
        { actions = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"], resources = [var.arns.queue] },
        { actions = ["s3:GetObject"], resources = [local.images] },
        { actions = ["s3:PutObject"], resources = [local.processed] },
        { actions = ["dynamodb:PutItem"], resources = [var.arns.table] },
      ]
    }
    stream-sink = {
      principal = "ecs-tasks.amazonaws.com"
      allow = [
        { actions = ["kafka-cluster:Connect"], resources = [var.arns.cluster] },
        { actions = ["kafka-cluster:DescribeTopic", "kafka-cluster:ReadData"], resources = [var.arns.topic] },
        { actions = ["kafka-cluster:DescribeGroup", "kafka-cluster:AlterGroup"], resources = [var.arns.groups] },
        { actions = ["s3:PutObject"], resources = [local.images] },
      ]
    }
    task-execution = {
      principal = "ecs-tasks.amazonaws.com"
      allow = [
        # The one action here for which AWS knows no resource.
        { actions = ["ecr:GetAuthorizationToken"], resources = ["*"] },
        { actions = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"], resources = [var.arns.repository] },
        { actions = ["logs:CreateLogStream", "logs:PutLogEvents"], resources = ["${var.arns.task_logs}:*"] },
      ]
    }
    facts-pipe = {
      principal = "pipes.amazonaws.com"
      allow = [
        { actions = ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams"], resources = [var.arns.table_feed] },
        { actions = ["firehose:PutRecordBatch"], resources = [var.arns.facts] },
      ]
    }
    facts-delivery = {
      principal = "firehose.amazonaws.com"
      allow = [
        { actions = ["s3:PutObject", "s3:AbortMultipartUpload"], resources = [local.facts_path, "${var.bucket_arns.analytics}/unreadable/*"] },
        { actions = ["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"], resources = [var.bucket_arns.analytics] },
      ]
    }
    rollup = {
      principal = "scheduler.amazonaws.com"
      allow     = concat(local.run_queries, [{ actions = ["s3:PutObject"], resources = ["${var.bucket_arns.analytics}/aggregates/*"] }])
    }
    flow-logs = {
      principal = "vpc-flow-logs.amazonaws.com"
      allow     = [{ actions = ["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"], resources = ["arn:aws:logs:${var.region}:${var.account_id}:log-group:/${var.name}/network/flow:*"] }]
    }
    trail = {
      principal = "cloudtrail.amazonaws.com"
      allow     = [{ actions = ["logs:CreateLogStream", "logs:PutLogEvents"], resources = ["arn:aws:logs:${var.region}:${var.account_id}:log-group:/${var.name}/trail:*"] }]
    }
  }

  run_queries = [
    { actions = ["athena:StartQueryExecution", "athena:StopQueryExecution", "athena:GetQueryExecution", "athena:GetQueryResults", "athena:GetWorkGroup", "athena:ListNamedQueries", "athena:GetNamedQuery"], resources = [var.arns.workgroup] },
    { actions = ["glue:GetDatabase", "glue:GetTable", "glue:GetTables", "glue:GetPartitions"], resources = [var.arns.catalog, var.arns.database, var.arns.tables] },
    { actions = ["s3:GetObject"], resources = [local.facts_path, "${var.bucket_arns.analytics}/aggregates/*"] },
    { actions = ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"], resources = ["${var.bucket_arns.results}/*"] },
    { actions = ["s3:GetBucketLocation", "s3:ListBucket"], resources = [var.bucket_arns.analytics, var.bucket_arns.results] },
  ]

  # These services say for which account they act; a role that checks it cannot be borrowed from another one.
  says_account = ["ecs-tasks.amazonaws.com", "firehose.amazonaws.com", "pipes.amazonaws.com", "scheduler.amazonaws.com", "vpc-flow-logs.amazonaws.com"]
}

data "aws_iam_policy_document" "service_trust" {
  for_each = local.services

  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = [each.value.principal]
    }

    dynamic "condition" {
      for_each = contains(local.says_account, each.value.principal) ? [var.account_id] : []
      content {
        test     = "StringEquals"
        variable = "aws:SourceAccount"
        values   = [condition.value]
      }
    }
  }
}

data "aws_iam_policy_document" "service" {
  #checkov:skip=CKV_AWS_356:ecr:GetAuthorizationToken knows no resource; a test allows it alone
  for_each = local.services

  dynamic "statement" {
    for_each = each.value.allow
    content {
      actions   = statement.value.actions
      resources = statement.value.resources
    }
  }
}

resource "aws_iam_role" "service" {
  for_each = local.services

  name               = "${var.name}-${each.key}"
  assume_role_policy = data.aws_iam_policy_document.service_trust[each.key].json
}

resource "aws_iam_role_policy" "service" {
  for_each = local.services

  name   = "only-this"
  role   = aws_iam_role.service[each.key].id
  policy = data.aws_iam_policy_document.service[each.key].json
}
