module github.com/postern-dev/postern/bench

go 1.26.8
