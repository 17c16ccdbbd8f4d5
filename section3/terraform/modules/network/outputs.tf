output "subnet_ids" {
  description = "The private subnets, one in each zone."
  value       = [for subnet in aws_subnet.private : subnet.id]
}

output "worker_security_group_id" {
  description = "Of the containers."
  value       = aws_security_group.worker.id
}

output "kafka_security_group_id" {
  description = "Of the brokers."
  value       = aws_security_group.kafka.id
}
