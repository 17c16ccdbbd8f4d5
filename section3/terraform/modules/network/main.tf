# Private subnets in three zones and no way to the internet: AWS's services are reached through endpoints.
locals {
  zones     = [for letter in ["a", "b", "c"] : "${var.region}${letter}"]
  endpoints = ["ecr.api", "ecr.dkr", "kms", "logs", "sqs", "sts"]
}

resource "aws_vpc" "this" {
  cidr_block           = "10.32.0.0/16"
  enable_dns_support   = true
  enable_dns_hostnames = true

  tags = { Name = var.name }
}

resource "aws_default_security_group" "closed" {
  vpc_id = aws_vpc.this.id
}

resource "aws_subnet" "private" {
  for_each = { for index, zone in local.zones : zone => index }

  vpc_id            = aws_vpc.this.id
  availability_zone = each.key
  cidr_block        = cidrsubnet(aws_vpc.this.cidr_block, 4, each.value)

  tags = { Name = "${var.name}-${each.key}" }
}

resource "aws_route_table" "private" {
  vpc_id = aws_vpc.this.id
}

resource "aws_route_table_association" "private" {
  for_each = aws_subnet.private

  subnet_id      = each.value.id
  route_table_id = aws_route_table.private.id
}

resource "aws_security_group" "worker" {
  #checkov:skip=CKV2_AWS_5:It is attached in another module, where this check does not look
  name        = "${var.name}-worker"
  description = "Containers: they call, nobody calls them"
  vpc_id      = aws_vpc.this.id
}

resource "aws_security_group" "kafka" {
  #checkov:skip=CKV2_AWS_5:It is attached in another module, where this check does not look
  name        = "${var.name}-kafka"
  description = "Brokers: TLS with IAM only"
  vpc_id      = aws_vpc.this.id
}

resource "aws_security_group" "endpoint" {
  name        = "${var.name}-endpoint"
  description = "Endpoints of AWS services: HTTPS from the containers"
  vpc_id      = aws_vpc.this.id
}

resource "aws_vpc_security_group_egress_rule" "worker_to_endpoints" {
  security_group_id            = aws_security_group.worker.id
  description                  = "AWS services with an interface endpoint"
  referenced_security_group_id = aws_security_group.endpoint.id
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
}

resource "aws_vpc_security_group_egress_rule" "worker_to_gateways" {
  for_each = aws_vpc_endpoint.gateway

  security_group_id = aws_security_group.worker.id
  description       = "${each.key} through its gateway endpoint"
  prefix_list_id    = each.value.prefix_list_id
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_security_group_egress_rule" "worker_to_kafka" {
  security_group_id            = aws_security_group.worker.id
  description                  = "Kafka, TLS with IAM"
  referenced_security_group_id = aws_security_group.kafka.id
  ip_protocol                  = "tcp"
  from_port                    = 9098
  to_port                      = 9098
}

resource "aws_vpc_security_group_ingress_rule" "endpoint_from_worker" {
  security_group_id            = aws_security_group.endpoint.id
  description                  = "The containers"
  referenced_security_group_id = aws_security_group.worker.id
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
}

resource "aws_vpc_security_group_ingress_rule" "kafka_from_worker" {
  security_group_id            = aws_security_group.kafka.id
  description                  = "The stream sink"
  referenced_security_group_id = aws_security_group.worker.id
  ip_protocol                  = "tcp"
  from_port                    = 9098
  to_port                      = 9098
}

resource "aws_vpc_security_group_ingress_rule" "kafka_from_producers" {
  for_each = toset(var.producer_cidr_blocks)

  security_group_id = aws_security_group.kafka.id
  description       = "The second application's producers"
  cidr_ipv4         = each.value
  ip_protocol       = "tcp"
  from_port         = 9098
  to_port           = 9098
}

data "aws_iam_policy_document" "endpoint" {
  #checkov:skip=CKV_AWS_283:An endpoint's policy says what can be reached through it; who may is in the callers' own policies
  for_each = {
    s3       = concat(values(var.bucket_arns), [for arn in values(var.bucket_arns) : "${arn}/*"], [local.layers])
    dynamodb = [var.table_arn, "${var.table_arn}/index/*"]
  }

  statement {
    actions   = ["${each.key}:*"]
    resources = each.value

    principals {
      type        = "AWS"
      identifiers = ["*"]
    }
  }
}

locals {
  layers = "arn:aws:s3:::prod-${var.region}-starport-layer-bucket/*" # where ECR keeps the containers' layers
}

resource "aws_vpc_endpoint" "gateway" {
  for_each = toset(["s3", "dynamodb"])

  vpc_id          = aws_vpc.this.id
  service_name    = "com.amazonaws.${var.region}.${each.key}"
  route_table_ids = [aws_route_table.private.id]
  policy          = data.aws_iam_policy_document.endpoint[each.key].json
}

resource "aws_vpc_endpoint" "interface" {
  for_each = toset(local.endpoints)

  vpc_id              = aws_vpc.this.id
  vpc_endpoint_type   = "Interface"
  service_name        = "com.amazonaws.${var.region}.${each.key}"
  subnet_ids          = [for subnet in aws_subnet.private : subnet.id]
  security_group_ids  = [aws_security_group.endpoint.id]
  private_dns_enabled = true
}

resource "aws_cloudwatch_log_group" "flow" {
  #checkov:skip=CKV_AWS_338:Addresses of people are in it; 7 days as everything else
  name              = "/${var.name}/network/flow"
  retention_in_days = var.logs_days
  kms_key_id        = var.key_arn
}

resource "aws_flow_log" "this" {
  vpc_id          = aws_vpc.this.id
  traffic_type    = "REJECT"
  log_destination = aws_cloudwatch_log_group.flow.arn
  iam_role_arn    = var.flow_log_role_arn
}
