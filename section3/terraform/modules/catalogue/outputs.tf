output "feed_arn" {
  description = "The table's stream of changes."
  value       = aws_dynamodb_table.this.stream_arn
}
