# Alarms on what customers and the compliance officer would notice, and one page to look at first.
resource "aws_sns_topic" "alarms" {
  name              = "${var.name}-alarms"
  kms_master_key_id = var.key_arn
}

resource "aws_sns_topic_subscription" "mail" {
  topic_arn = aws_sns_topic.alarms.arn
  protocol  = "email"
  endpoint  = var.alarm_email
}

locals {
  queue       = { QueueName = var.queue }
  dead_letter = { QueueName = var.dead_letter }
  upload      = { FunctionName = var.functions.upload }
  read        = { FunctionName = var.functions.read }
  sink        = { "Cluster Name" = var.kafka, "Consumer Group" = "stream-sink", Topic = "images" }
  storage     = { BucketName = var.bucket, StorageType = "StandardStorage" }

  alarms = {
    images-wait = {
      says      = "The oldest upload waits for more than 10 minutes: are there enough workers?"
      namespace = "AWS/SQS", metric = "ApproximateAgeOfOldestMessage", statistic = "Maximum", dimensions = local.queue
      period    = 60, periods = 5, above = 600
    }
    images-failed = {
      says      = "An image failed five times. It is purged with its message: look now"
      namespace = "AWS/SQS", metric = "ApproximateNumberOfMessagesVisible", statistic = "Maximum", dimensions = local.dead_letter
      period    = 60, periods = 1, above = 0
    }
    upload-errors = {
      says      = "The upload API fails"
      namespace = "AWS/Lambda", metric = "Errors", statistic = "Sum", dimensions = local.upload
      period    = 60, periods = 3, above = 5
    }
    read-errors = {
      says      = "The read API fails"
      namespace = "AWS/Lambda", metric = "Errors", statistic = "Sum", dimensions = local.read
      period    = 60, periods = 3, above = 5
    }
    upload-throttled = {
      says      = "Uploads are turned away: raise the API's concurrency"
      namespace = "AWS/Lambda", metric = "Throttles", statistic = "Sum", dimensions = local.upload
      period    = 60, periods = 3, above = 0
    }
    stream-lags = {
      says      = "The stream sink is 10 minutes behind; a topic keeps images for 24 hours"
      namespace = "AWS/Kafka", metric = "EstimatedMaxTimeLag", statistic = "Maximum", dimensions = local.sink
      period    = 60, periods = 5, above = 600
    }
    brokers-full = {
      says      = "A broker's disk is 80 % full: its engineers extend it"
      namespace = "AWS/Kafka", metric = "KafkaDataLogsDiskUsed", statistic = "Maximum", dimensions = { "Cluster Name" = var.kafka }
      period    = 300, periods = 3, above = 80
    }
    purge-lags = {
      says      = "The images bucket holds more than nine days of images: is its lifecycle rule in force?"
      namespace = "AWS/S3", metric = "BucketSizeBytes", statistic = "Average", dimensions = local.storage
      period    = 86400, periods = 3, above = var.largest_bytes
    }
    catalogue-refuses = {
      says      = "The catalogue refuses writes"
      namespace = "AWS/DynamoDB", metric = "WriteThrottleEvents", statistic = "Sum", dimensions = { TableName = var.table }
      period    = 60, periods = 3, above = 0
    }
    facts-late = {
      says      = "Facts for the analysts are an hour old"
      namespace = "AWS/Firehose", metric = "DeliveryToS3.DataFreshness", statistic = "Maximum", dimensions = { DeliveryStreamName = var.facts }
      period    = 300, periods = 3, above = 3600
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = local.alarms

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.says
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  statistic           = each.value.statistic
  dimensions          = each.value.dimensions
  period              = each.value.period
  evaluation_periods  = each.value.periods
  threshold           = each.value.above
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}

resource "aws_cloudwatch_dashboard" "this" {
  dashboard_name = var.name

  dashboard_body = jsonencode({
    widgets = [
      for index, alarm in keys(local.alarms) : {
        type   = "metric"
        x      = (index % 3) * 8
        y      = floor(index / 3) * 6
        width  = 8
        height = 6
        properties = {
          title  = local.alarms[alarm].says
          region = var.region
          period = local.alarms[alarm].period
          stat   = local.alarms[alarm].statistic
          metrics = [concat(
            [local.alarms[alarm].namespace, local.alarms[alarm].metric],
            flatten([for name, value in local.alarms[alarm].dimensions : [name, value]]),
          )]
          annotations = { horizontal = [{ value = local.alarms[alarm].above }] }
        }
      }
    ]
  })
}
