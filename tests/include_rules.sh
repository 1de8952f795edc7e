#!/bin/sh
# Which module may include which, and who may wait on file descriptors. Prints FILE:LINE of every violation.
#
#   include_rules.sh [ROOT]       check the tree; 1 when a rule is broken
#   include_rules.sh --self-test  plant violations in a tree of its own and prove that each one is found
set -eu

# MODULE: what it may include besides itself and the system. Only what is written here: nothing is inherited.
rules() {
  cat <<'END'
src/base:
src/config: base
src/availability: base
src/reliability: base availability
src/net: base
src/http: base net
src/plane: base
src/gateway: base net http plane
src/supervise: base http plane
src/ledger: base availability
src/fetch: base
src/storage: base fetch
src/backup: base storage
src/database: base fetch
src/alert: base availability ledger fetch
src/architecture: base config ledger reliability
src/drill: base http ledger architecture
src/web: base http plane ledger availability architecture
src/app: base config availability reliability net http plane gateway supervise ledger fetch storage backup database alert architecture drill web
src/cli: base config availability ledger net http plane supervise app storage backup
bench/load: base
END
}
# bench/load judges net and http, so it shares nothing with them. The rest of bench, examples, sim, fuzz and tests may
# include whatever they need; nothing under src may include from them.

check() (
  cd "$1"
  files=$(find src bench/load \( -name '*.h' -o -name '*.cc' \) -print 2>/dev/null | sort)
  [ -n "$files" ] || { echo "no sources below $1" >&2; exit 2; }
  rules > "$scratch/rules"
  # Paths in this tree have no spaces.
  # shellcheck disable=SC2086
  awk -v rules="$scratch/rules" '
    function violation(what) { printf "%s:%d: %s\n", FILENAME, FNR, what; broken = 1 }
    BEGIN {
      while ((getline line < rules) > 0) {
        split(line, half, ":")
        owner = half[1]
        known[owner] = 1
        name = owner
        sub(/^.*\//, "", name)
        allowed[owner, name] = 1
        listed[owner] = half[2]
        n = split(half[2], names, " ")
        for (i = 1; i <= n; ++i) allowed[owner, names[i]] = 1
      }
    }
    FNR == 1 {
      n = split(FILENAME, part, "/")
      owner = part[1] "/" part[2]
      in_test = FILENAME ~ /(_test\.cc|\/test_support\.h)$/
      if (!(owner in known)) violation("the folder " owner " is no module: add it to the table in tests/include_rules.sh")
    }
    /^[ \t]*#[ \t]*include[ \t]*"/ {
      path = $0
      sub(/^[^"]*"/, "", path)
      sub(/".*/, "", path)
      if (path !~ /\//) { violation("\"" path "\": name the module: \"" part[2] "/" path "\""); next }
      target = path
      sub(/\/.*/, "", target)
      if (!((owner, target) in allowed) && owner in known)
        violation("\"" path "\": " owner " may include" (listed[owner] == "" ? " nothing" : listed[owner]) " and itself, not " target)
      next
    }
    /^[ \t]*#[ \t]*include[ \t]*</ {
      if ($0 ~ /<doctest\// && !in_test) violation("doctest outside a *_test.cc or test_support.h")
      if ($0 ~ /<sys\/epoll\.h>/ && owner != "src/net") violation("<sys/epoll.h> outside src/net")
      if ($0 ~ /<(examples|bench|sim|fuzz|tests)\//) violation("an include from outside src")
      next
    }
    owner != "src/net" && owner != "bench/load" {
      code = $0
      sub(/\/\/.*/, "", code)
      gsub(/"([^"\\]|\\.)*"/, "", code)
      if (code ~ /(^|[^A-Za-z0-9_.>:])(::)?(epoll_p?wait2?|p?poll)[ \t]*\(/) violation("waits on descriptors outside src/net")
    }
    END { exit broken }
  ' $files
)

plant() {  # FILE LINE...: a file in the tree of the self-test
  file=$scratch/tree/$1
  shift
  mkdir -p "${file%/*}"
  printf '%s\n' "$@" > "$file"
}

self_test() {
  plant src/base/a.h '#pragma once' '#include <vector>'
  plant src/gateway/a.cc '#include "gateway/a.h"' '#include "net/loop.h"' '// poll(), epoll_wait()' 'x.poll(); y->poll(1);' 'say("poll(");'
  plant src/gateway/a_test.cc '#include <doctest/doctest.h>' '#include "gateway/a.h"'
  plant src/net/a.cc '#include <sys/epoll.h>' '::epoll_wait(1, e, 1, 0);'
  plant src/cli/main.cc '#include "app/up.h"'
  plant bench/load/a.cc '#include "load/a.h"' '::poll(&item, 1, 0);'
  check "$scratch/tree" || { echo "self-test: a tree without violations was refused" >&2; exit 1; }

  plant src/base/up.cc '#include "net/loop.h"'
  plant src/supervise/side.cc 'int x;' '#include "gateway/a.h"'
  plant src/supervise/indented.cc '  #  include "net/loop.h"'
  plant src/cli/deep.cc '#include "gateway/worker.h"'
  plant src/app/outside.cc '#include "examples/demo.h"' '#include "load/load.h"'
  plant src/http/unnamed.cc '#include "parser.h"'
  plant src/http/test.cc '#include <doctest/doctest.h>'
  plant src/http/wait.cc '#include <sys/epoll.h>' 'int n = ::epoll_wait(1, e, 1, 0);' 'poll(fds, 1, 0);' 'x = epoll_pwait (1);'
  plant src/extra/a.cc '#include "base/a.h"'
  plant bench/load/b.cc '#include "net/loop.h"'
  expected='bench/load/b.cc:1: src/app/outside.cc:1: src/app/outside.cc:2: src/base/up.cc:1: src/cli/deep.cc:1: src/extra/a.cc:1: src/http/test.cc:1: src/http/unnamed.cc:1: src/http/wait.cc:1: src/http/wait.cc:2: src/http/wait.cc:3: src/http/wait.cc:4: src/supervise/indented.cc:1: src/supervise/side.cc:2: '
  if check "$scratch/tree" > "$scratch/found"; then
    echo "self-test: violations were planted and the check passed" >&2
    exit 1
  fi
  found=$(sed 's/^\([^:]*:[0-9]*:\).*/\1/' "$scratch/found" | tr '\n' ' ')
  [ "$found" = "$expected" ] || { printf 'self-test: expected %s\n           found    %s\n' "$expected" "$found" >&2; exit 1; }
  echo "self-test: all planted violations were found"
}

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
case ${1:-} in
  --self-test) self_test ;;
  *) check "${1:-$(dirname "$0")/..}" ;;
esac
