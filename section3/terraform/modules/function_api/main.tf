# An HTTP API whose one route is answered by a function, for those who bring a token of the company's identity provider.
resource "aws_lambda_function" "this" {
  #checkov:skip=CKV_AWS_116:API Gateway waits for the answer; there is no event that a dead-letter queue could keep
  #checkov:skip=CKV_AWS_117:It talks to AWS APIs only, over TLS; in the VPC it would need a role that may touch any network interface
  #checkov:skip=CKV_AWS_272:Code signing is for zip files; the container comes from a repository with immutable, scanned tags
  #checkov:skip=CKV_AWS_50:X-Ray's permission cannot name a resource; latencies come from API Gateway's metrics
  function_name                  = var.function
  role                           = var.role_arn
  package_type                   = "Image"
  image_uri                      = var.image_uri
  architectures                  = ["arm64"]
  memory_size                    = 256
  timeout                        = 5
  reserved_concurrent_executions = var.concurrency
  kms_key_arn                    = var.key_arn

  environment {
    variables = var.environment
  }

  depends_on = [aws_cloudwatch_log_group.function]
}

resource "aws_cloudwatch_log_group" "function" {
  #checkov:skip=CKV_AWS_338:A log line may name an image, and those are kept 7 days
  name              = "/aws/lambda/${var.function}"
  retention_in_days = var.logs_days
  kms_key_id        = var.key_arn
}

resource "aws_cloudwatch_log_group" "access" {
  #checkov:skip=CKV_AWS_338:A log line may name an image, and those are kept 7 days
  name              = "/aws/apigateway/${var.function}"
  retention_in_days = var.logs_days
  kms_key_id        = var.key_arn
}

resource "aws_apigatewayv2_api" "this" {
  name          = var.function
  protocol_type = "HTTP"
}

resource "aws_apigatewayv2_authorizer" "this" {
  api_id           = aws_apigatewayv2_api.this.id
  name             = "company-login"
  authorizer_type  = "JWT"
  identity_sources = ["$request.header.Authorization"]

  jwt_configuration {
    issuer   = var.identity.issuer
    audience = [var.identity.audience]
  }
}

resource "aws_apigatewayv2_integration" "this" {
  api_id                 = aws_apigatewayv2_api.this.id
  integration_type       = "AWS_PROXY"
  integration_uri        = aws_lambda_function.this.invoke_arn
  payload_format_version = "2.0"
}

resource "aws_apigatewayv2_route" "this" {
  api_id             = aws_apigatewayv2_api.this.id
  route_key          = var.route
  target             = "integrations/${aws_apigatewayv2_integration.this.id}"
  authorization_type = "JWT"
  authorizer_id      = aws_apigatewayv2_authorizer.this.id
}

resource "aws_apigatewayv2_stage" "this" {
  api_id      = aws_apigatewayv2_api.this.id
  name        = "$default"
  auto_deploy = true

  default_route_settings {
    throttling_rate_limit  = var.requests_per_second
    throttling_burst_limit = 2 * var.requests_per_second
  }

  access_log_settings {
    destination_arn = aws_cloudwatch_log_group.access.arn
    format          = jsonencode({ requestId = "$context.requestId", status = "$context.status", ms = "$context.responseLatency" })
  }
}

resource "aws_lambda_permission" "this" {
  statement_id  = "OnlyThisApi"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.this.function_name
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_apigatewayv2_api.this.execution_arn}/*/*"
}
