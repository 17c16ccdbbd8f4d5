# The company's existing code in containers, as many as the backlog needs.
locals {
  programs = ["upload-api", "read-api", "processor", "stream-sink"]

  services = {
    processor = {
      least = var.workers.least, most = var.workers.most
      environment = {
        QUEUE_URL = var.queue.url, BUCKET = var.bucket, TABLE = var.table, KEEP_DAYS = tostring(var.images_days)
      }
    }
    stream-sink = {
      least       = 3, most = 30
      environment = { BROKERS = coalesce(var.kafka.brokers, "none"), TOPIC = "images", GROUP = "stream-sink", BUCKET = var.bucket }
    }
  }
}

resource "aws_ecr_repository" "this" {
  for_each = toset(local.programs)

  name                 = "${var.name}/${each.key}"
  image_tag_mutability = "IMMUTABLE"
  force_delete         = true # builds are made again from git

  encryption_configuration {
    encryption_type = "KMS"
    kms_key         = var.key_arn
  }

  image_scanning_configuration {
    scan_on_push = true
  }
}

resource "aws_ecs_cluster" "this" {
  name = var.name

  setting {
    name  = "containerInsights"
    value = "enabled"
  }
}

resource "aws_cloudwatch_log_group" "task" {
  #checkov:skip=CKV_AWS_338:A log line may name an image, and those are kept 7 days
  for_each = local.services

  name              = "/${var.name}/task/${each.key}"
  retention_in_days = var.logs_days
  kms_key_id        = var.key_arn
}

resource "aws_ecs_task_definition" "this" {
  for_each = local.services

  family                   = "${var.name}-${each.key}"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = 1024
  memory                   = 2048
  execution_role_arn       = var.role_arns["task-execution"]
  task_role_arn            = var.role_arns[each.key]

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = "ARM64"
  }

  # An image in work is in memory or on this disk, which goes with the task.
  ephemeral_storage {
    size_in_gib = 21
  }

  volume {
    name = "scratch"
  }

  container_definitions = jsonencode([{
    name                   = each.key
    image                  = "${aws_ecr_repository.this[each.key].repository_url}:${var.image_tag}"
    essential              = true
    user                   = "10001"
    readonlyRootFilesystem = true
    stopTimeout            = 60 # finish the image in work
    environment            = [for name, value in each.value.environment : { name = name, value = value }]
    mountPoints            = [{ sourceVolume = "scratch", containerPath = "/tmp", readOnly = false }]
    linuxParameters        = { initProcessEnabled = true, capabilities = { drop = ["ALL"] } }
    logConfiguration = {
      logDriver = "awslogs"
      options = {
        awslogs-group         = aws_cloudwatch_log_group.task[each.key].name
        awslogs-region        = var.region
        awslogs-stream-prefix = "task"
      }
    }
  }])
}

resource "aws_ecs_service" "this" {
  for_each = local.services

  name                          = each.key
  cluster                       = aws_ecs_cluster.this.id
  task_definition               = aws_ecs_task_definition.this[each.key].arn
  desired_count                 = each.value.least
  launch_type                   = "FARGATE"
  platform_version              = "LATEST"
  enable_execute_command        = false
  availability_zone_rebalancing = "ENABLED"
  propagate_tags                = "SERVICE"

  network_configuration {
    subnets          = var.subnet_ids
    security_groups  = [var.security_group_id]
    assign_public_ip = false
  }

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  lifecycle {
    ignore_changes = [desired_count] # autoscaling's
  }
}

resource "aws_appautoscaling_target" "this" {
  for_each = var.with_autoscaling ? local.services : {}

  service_namespace  = "ecs"
  scalable_dimension = "ecs:service:DesiredCount"
  resource_id        = "service/${aws_ecs_cluster.this.name}/${aws_ecs_service.this[each.key].name}"
  min_capacity       = each.value.least
  max_capacity       = each.value.most
}
