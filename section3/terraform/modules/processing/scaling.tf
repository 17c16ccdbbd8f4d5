# Both services follow their lag: what waits for each running task. CPU would say nothing of a queue that grows.
resource "aws_appautoscaling_policy" "processor" {
  count = var.with_autoscaling ? 1 : 0

  name               = "backlog-per-task"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.this["processor"].service_namespace
  scalable_dimension = aws_appautoscaling_target.this["processor"].scalable_dimension
  resource_id        = aws_appautoscaling_target.this["processor"].resource_id

  target_tracking_scaling_policy_configuration {
    target_value       = var.backlog_per_task
    scale_out_cooldown = 60
    scale_in_cooldown  = 300

    customized_metric_specification {
      metrics {
        id          = "backlog"
        return_data = false

        metric_stat {
          stat = "Average"

          metric {
            namespace   = "AWS/SQS"
            metric_name = "ApproximateNumberOfMessagesVisible"

            dimensions {
              name  = "QueueName"
              value = var.queue.name
            }
          }
        }
      }

      metrics {
        id          = "tasks"
        return_data = false

        metric_stat {
          stat = "Average"

          metric {
            namespace   = "ECS/ContainerInsights"
            metric_name = "RunningTaskCount"

            dimensions {
              name  = "ClusterName"
              value = aws_ecs_cluster.this.name
            }

            dimensions {
              name  = "ServiceName"
              value = "processor"
            }
          }
        }
      }

      metrics {
        id          = "lag"
        expression  = "backlog / tasks"
        return_data = true
      }
    }
  }
}

resource "aws_appautoscaling_policy" "stream_sink" {
  count = var.with_autoscaling ? 1 : 0

  name               = "consumer-lag"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.this["stream-sink"].service_namespace
  scalable_dimension = aws_appautoscaling_target.this["stream-sink"].scalable_dimension
  resource_id        = aws_appautoscaling_target.this["stream-sink"].resource_id

  target_tracking_scaling_policy_configuration {
    target_value       = 5 # seconds behind
    scale_out_cooldown = 60
    scale_in_cooldown  = 300

    customized_metric_specification {
      namespace   = "AWS/Kafka"
      metric_name = "EstimatedMaxTimeLag"
      statistic   = "Maximum"

      dimensions {
        name  = "Cluster Name"
        value = var.kafka.cluster
      }

      dimensions {
        name  = "Consumer Group"
        value = "stream-sink"
      }

      dimensions {
        name  = "Topic"
        value = "images"
      }
    }
  }
}
