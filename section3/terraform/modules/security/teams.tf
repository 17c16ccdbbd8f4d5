# People have no rights of their own. The company's identity provider says which team somebody is in, as a tag of the
# session; each team has one role. Who joins gets the tag, and no policy changes however the company grows.
locals {
  teams = {
    analytics = {
      allow = local.run_queries
      deny  = [{ actions = ["s3:*"], resources = [var.bucket_arns.images, "${var.bucket_arns.images}/*"] }]
    }
    # Kafka is theirs: topics, groups, offsets, brokers. What is in it is not, and neither is its retention, which is a
    # promise to customers.
    streaming = {
      allow = [
        { actions = ["kafka-cluster:Connect", "kafka-cluster:DescribeCluster", "kafka-cluster:DescribeClusterDynamicConfiguration"], resources = [var.arns.cluster] },
        { actions = ["kafka-cluster:CreateTopic", "kafka-cluster:DescribeTopic", "kafka-cluster:AlterTopic", "kafka-cluster:DescribeTopicDynamicConfiguration"], resources = [var.arns.topic] },
        { actions = ["kafka-cluster:DescribeGroup", "kafka-cluster:AlterGroup", "kafka-cluster:DeleteGroup"], resources = [var.arns.groups] },
        { actions = ["kafka:DescribeClusterV2", "kafka:GetBootstrapBrokers", "kafka:UpdateBrokerCount", "kafka:UpdateBrokerStorage", "kafka:UpdateBrokerType", "kafka:UpdateClusterKafkaVersion", "kafka:RebootBroker"], resources = [var.arns.cluster] },
      ]
      deny = [{ actions = ["kafka-cluster:ReadData", "kafka-cluster:WriteData", "kafka-cluster:AlterTopicDynamicConfiguration", "kafka-cluster:AlterClusterDynamicConfiguration", "kafka:UpdateClusterConfiguration"], resources = [var.arns.cluster, var.arns.topic] }]
    }
    operations = {
      allow = [
        { actions = ["ecs:DescribeServices", "ecs:UpdateService", "ecs:ListTasks", "ecs:StopTask", "ecs:DescribeTasks"], resources = ["arn:aws:ecs:${var.region}:${var.account_id}:cluster/${var.name}", "arn:aws:ecs:${var.region}:${var.account_id}:service/${var.name}/*", "arn:aws:ecs:${var.region}:${var.account_id}:task/${var.name}/*"] },
        { actions = ["sqs:GetQueueAttributes", "sqs:StartMessageMoveTask", "sqs:ListMessageMoveTasks", "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:SendMessage"], resources = [var.arns.queue, var.arns.dead_letter] },
        { actions = ["logs:FilterLogEvents", "logs:GetLogEvents", "logs:StartQuery"], resources = ["${var.arns.task_logs}:*", "${var.arns.api_logs}:*"] },
      ]
      deny = [{ actions = ["s3:*"], resources = [var.bucket_arns.images, "${var.bucket_arns.images}/*", var.bucket_arns.audit, "${var.bucket_arns.audit}/*"] }]
    }
    audit = {
      allow = [
        { actions = ["s3:GetObject"], resources = ["${var.bucket_arns.audit}/*"] },
        { actions = ["s3:ListBucket", "s3:GetBucketLocation"], resources = [var.bucket_arns.audit] },
      ]
      deny = [{ actions = ["s3:*"], resources = [var.bucket_arns.images, "${var.bucket_arns.images}/*"] }]
    }
  }
}

data "aws_iam_policy_document" "team_trust" {
  for_each = local.teams

  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "AWS"
      identifiers = [local.root]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:PrincipalTag/team"
      values   = [each.key]
    }

    condition {
      test     = "Bool"
      variable = "aws:MultiFactorAuthPresent"
      values   = ["true"]
    }
  }
}

data "aws_iam_policy_document" "team" {
  for_each = local.teams

  dynamic "statement" {
    for_each = each.value.allow
    content {
      actions   = statement.value.actions
      resources = statement.value.resources
    }
  }

  dynamic "statement" {
    for_each = each.value.deny
    content {
      effect    = "Deny"
      actions   = statement.value.actions
      resources = statement.value.resources
    }
  }
}

resource "aws_iam_role" "team" {
  for_each = local.teams

  name                 = "${var.name}-team-${each.key}"
  assume_role_policy   = data.aws_iam_policy_document.team_trust[each.key].json
  max_session_duration = 3600
}

resource "aws_iam_role_policy" "team" {
  for_each = local.teams

  name   = "only-this"
  role   = aws_iam_role.team[each.key].id
  policy = data.aws_iam_policy_document.team[each.key].json
}
