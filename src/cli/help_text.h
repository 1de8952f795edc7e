#pragma once

#include <string_view>

namespace nines::cli {

// `nines --help`. By hand, because its order is that of a person's first hour.
inline constexpr std::string_view kHelp = R"(nines keeps an AI API up, and proves how up it is.

usage: nines [-c FILE] [--state DIR] COMMAND [OPTIONS]        nines COMMAND --help

  run [OPTIONS] -- COMMAND   keep a command up, without a file; {port} in it is the port of each replica
  check                      say whether nines.yaml is right, and what it would run
  up [--detach]              start the service and keep it up
  down                       end the service, once requests in flight are answered

  status [--watch]           show how the service is
  ps                         list the processes
  logs [-f] [REPLICA ...]    print the last lines the replicas wrote, or those --since 10m
  start|stop|restart REPLICA
  drain|undrain REPLICA      send no new requests to it, or its share again
  weight REPLICA PERCENT     set the share of the requests it gets

  reload [--dry-run]         go on with what nines.yaml says now: gateway, count, health, backups, …
  deploy                     put what nines.yaml says now in the place of what runs, and back if it is worse
  deploy --history           show the last ten, by whom, and what became of them
  rollback [RELEASE]         end the deploy that is under way, or go back to the release before

  gateway [--threads N]      only the gateway, in front of servers that run elsewhere (endpoints:)

  backup now|list|verify     make, list or verify archives of databases, model files and configuration
  restore [--from FILE]      put the database back as it is in an archive

  report [--month 2026-11]   say how available it was, and whether the objective is met; --format md, html, csv
  sla [--check]              the agreement as a document, and whether this set-up can keep it
  explain [--from 24h]       say where every second went that is missing, and how that is known
  incident list|show ID      what happened, with its cause and its evidence
  incident ack|note|merge|correct ID   say something of it, beside what was measured
  maintenance start|stop|plan|list   declare time that is left out of what was agreed
  check-ledger               say whether the record is whole: its chain of hashes, and the sums of what was measured
  calc --target 99.9%        reckon with availability: targets, repairs, redundancy, cost; asks no service

  export systemd             print the unit under which systemd keeps the service up

  -c, --config FILE          the configuration; default nines.yaml
  --state DIR                the folder for lock and logs; default .nines beside the configuration
  --version

Examples:
  nines run --replicas 3 --health /health -- my-server --port {port}
  nines up --detach && nines status
  nines logs -f

Every command that shows something takes --json.
Exit status: 0 as asked; 1 the answer is no; 2 wrong usage or configuration, command not found; 3 not running.)";

}  // namespace nines::cli
