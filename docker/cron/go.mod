// The cron of the containers, locked: go.sum has the hash of every module that goes into it.
module cron

go 1.24

tool github.com/aptible/supercronic

require (
	github.com/aptible/supercronic v0.2.30 // indirect
	github.com/beorn7/perks v1.0.1 // indirect
	github.com/certifi/gocertifi v0.0.0-20200211180108-c7c1fbc02894 // indirect
	github.com/cespare/xxhash/v2 v2.2.0 // indirect
	github.com/evalphobia/logrus_sentry v0.8.2 // indirect
	github.com/getsentry/raven-go v0.2.0 // indirect
	github.com/pkg/errors v0.9.1 // indirect
	github.com/prometheus/client_golang v1.19.1 // indirect
	github.com/prometheus/client_model v0.5.0 // indirect
	github.com/prometheus/common v0.48.0 // indirect
	github.com/prometheus/procfs v0.12.0 // indirect
	github.com/sirupsen/logrus v1.9.3 // indirect
	golang.org/x/sys v0.17.0 // indirect
	google.golang.org/protobuf v1.33.0 // indirect
)
