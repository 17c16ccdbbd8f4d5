# The second application's Kafka stream. AWS runs the brokers; the company's engineers run everything on them.
resource "aws_msk_configuration" "this" {
  count = var.with_brokers ? 1 : 0

  name           = var.cluster
  kafka_versions = ["3.8.x"]

  # A segment is deleted whole, once its newest record is too old: without the roll, a quiet topic would keep an image
  # for as long as it takes to fill one. The role of the engineers may not change a topic's own settings.
  server_properties = <<-PROPERTIES
    auto.create.topics.enable=false
    default.replication.factor=3
    min.insync.replicas=2
    log.cleanup.policy=delete
    log.retention.hours=${var.topic_hours}
    log.roll.hours=1
    message.max.bytes=10485760
    replica.fetch.max.bytes=10485760
    unclean.leader.election.enable=false
  PROPERTIES
}

resource "aws_msk_cluster" "this" {
  count = var.with_brokers ? 1 : 0

  cluster_name           = var.cluster
  kafka_version          = "3.8.x"
  number_of_broker_nodes = var.brokers.count
  enhanced_monitoring    = "PER_TOPIC_PER_BROKER"

  configuration_info {
    arn      = aws_msk_configuration.this[0].arn
    revision = aws_msk_configuration.this[0].latest_revision
  }

  broker_node_group_info {
    instance_type   = "kafka.m7g.large"
    client_subnets  = var.subnet_ids
    security_groups = [var.security_group_id]

    storage_info {
      ebs_storage_info {
        volume_size = var.brokers.gigabytes
      }
    }
  }

  client_authentication {
    unauthenticated = false

    sasl {
      iam = true
    }
  }

  encryption_info {
    encryption_at_rest_kms_key_arn = var.key_arn

    encryption_in_transit {
      client_broker = "TLS"
      in_cluster    = true
    }
  }

  logging_info {
    broker_logs {
      cloudwatch_logs {
        enabled   = true
        log_group = aws_cloudwatch_log_group.brokers.name
      }
    }
  }
}

resource "aws_cloudwatch_log_group" "brokers" {
  #checkov:skip=CKV_AWS_338:7 days as everything else that may name a customer
  name              = "/${var.cluster}/brokers"
  retention_in_days = var.logs_days
  kms_key_id        = var.key_arn
}
