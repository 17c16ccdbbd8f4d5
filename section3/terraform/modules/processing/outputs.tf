output "repositories" {
  description = "Where the programs' containers are, by program."
  value       = { for program, repository in aws_ecr_repository.this : program => repository.repository_url }
}

output "cluster" {
  description = "Name of the ECS cluster."
  value       = aws_ecs_cluster.this.name
}

output "processor" {
  description = "Name of the processing service."
  value       = aws_ecs_service.this["processor"].name
}
