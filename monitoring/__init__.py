"""What operators watch Geofix with: Prometheus' rules and Grafana's dashboards."""
