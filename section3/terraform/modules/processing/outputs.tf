output "repositories" {
  description = "Where the programs' containers are, by program."
  value       = { for program, repository in aws_ecr_repository.this : program => repository.repository_url }
}
