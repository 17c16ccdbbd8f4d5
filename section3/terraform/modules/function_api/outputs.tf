output "url" {
  description = "The API's address."
  value       = aws_apigatewayv2_api.this.api_endpoint
}
