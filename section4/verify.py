"""What Grafana's API says of the provisioned data sources, dashboards and queries; page addresses prove nothing."""
