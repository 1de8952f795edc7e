// The part of the supervisor that deals with those before and after it: what it takes over, what it leaves, and who
// replaces whom. Its everyday work is in supervisor.cc.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "app/lock.h"
#include "app/process_contract.h"
#include "app/supervisor.h"
#include "app/tagged.h"
#include "gateway/tenure.h"
#include "net/timeout.h"
#include "supervise/procfs.h"

namespace nines::app {

using plane::EventKind;
using Leave = plane::Header::Leave;

namespace {

// A gateway that was replaced finishes its requests, however long they take, streams among them: it bounds itself by an
// hour, and this is for one that does not.
constexpr Duration kLeavingGateway = 1h + 10s;
// The anchor reaps at once; who waits longer waits for nothing.
constexpr Duration kObituaryWait = 1s;

Task<Result<>> wait_for(net::Condition& condition, Instant until) { co_return co_await condition.wait(until); }

Task<Result<>> wait_readable(net::EpollLoop& loop, int fd) {
  net::FdEvent event(loop, fd);
  co_return co_await event.readable();
}

// Whether this place in /proc is the same file for a process as for us. True where nobody can tell.
bool shares(pid_t pid, const std::string& place) {
  struct stat theirs{}, ours{};
  if (::stat(("/proc/" + std::to_string(pid) + place).c_str(), &theirs) != 0) return true;
  if (::stat(("/proc/self" + place).c_str(), &ours) != 0) return true;
  return theirs.st_ino == ours.st_ino && theirs.st_dev == ours.st_dev;
}

// It is of our program, and goes by our configuration.
bool is_current(pid_t pid) { return shares(pid, "/exe") && shares(pid, "/fd/" + std::to_string(kSnapshot)); }

bool is_stopped(const plane::Route& route) {
  return route.state == static_cast<std::uint8_t>(supervise::State::kStopped);
}

}  // namespace

// Looks for what runs, and what the book says of it.
Task<void> Supervisor::inherit() {
  plane::Header& header = table_->header;
  anchor_ = static_cast<pid_t>(table_->anchor.load().value_or(plane::Part{}).pid);
  header.leave = Leave::kDied;  // whatever the one before was leaving for, it has not come to that
  const auto self = supervise::read_process_stat(::getpid());
  table_->supervisor.store({.pid = static_cast<std::uint32_t>(::getpid()),
                            .starts = table_->supervisor.load().value_or(plane::Part{}).starts,
                            .start_time = self ? self->start_time : 0,
                            .since_ns = loop_.now().since_boot.count()});
  // The table is new and the service is not: that it is up has been said, and asked, long ago.
  if (plane::ForeignTable::attach(Fd(::fcntl(kOldPlane, F_DUPFD_CLOEXEC, 3)))) header.announced = 1;
  const bool first = table_->log.next_number() == 1;
  if (first) {
    plane::Event started{.kind = EventKind::kServiceStarted};
    started.set_text(*service_.config.service);
    note(started);
  }
  events_.collect();  // how the one before ended
  cgroups_.sweep(group_prefix(service_.paths));
  if (endpoints_.empty()) deployment_.inherit(first);
  needs_met_ = service_.config.replicas.needs.empty();
  auto book = read_book();
  const bool let_go = first && begin_anew(book);
  // While nothing ran, a person may have changed what is guarded.
  if (first && !service_.config.replicas.files.empty())
    Fd(::open(service_.paths.trust_mark().c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0640));
  auto found = find_tagged(service_.paths);
  if (containers_) {
    auto running = co_await containers_->find_running();
    if (!running) warn(running.error().text() + "; what runs is found when a replica is started");
    if (running) std::ranges::move(*running, std::back_inserter(found));
  }
  // A backup that the keeper began goes on by itself, whoever supervises.
  std::erase_if(found, [](const supervise::Found& f) { return f.part == kBackupPart; });
  std::vector<supervise::Expected> expected;
  for (std::size_t i = 0; i < replicas_.size(); ++i) {
    const plane::Route& route = book[i].route;
    expected.push_back({.part = replicas_[i]->name(),
                        .incarnation = route.incarnation,
                        .pid = static_cast<pid_t>(route.pid),
                        .start_time = route.start_time});
  }
  for (const auto& [part, name] : {std::pair{&table_->gateway, "gateway"}, std::pair{&table_->keeper, "keeper"}}) {
    const plane::Part record = part->load().value_or(plane::Part{});
    expected.push_back({.part = name, .pid = static_cast<pid_t>(record.pid), .start_time = record.start_time});
  }
  auto plan = supervise::plan_adoption(expected, found);
  header.next_incarnation = std::max(header.next_incarnation.load(), plan.incarnations + 1);
  std::vector<supervise::Found> end;
  for (const supervise::Found& process : plan.end) {
    if (process.part == "gateway" && see_off_gateway(process)) continue;
    end.push_back(process);
  }
  co_await end_tagged(loop_, service_.paths, end, 0ns);
  if (containers_) co_await containers_->end(end);
  // One of these may have started another meanwhile.
  for (const supervise::Found& process : end) {
    const bool adopted = std::ranges::any_of(plan.parts, [&](const supervise::Adoption& part) {
      return part.process && part.process->part == process.part && part.process->incarnation == process.incarnation;
    });
    if (!adopted) co_await end_followers(process.part, process.incarnation);
  }
  for (std::size_t i = 0; i < replicas_.size(); ++i) {
    book[i].process = std::move(plan.parts[i].process);
    book[i].exit_due = plan.parts[i].exit_due;
  }
  supervise::Adoption &gateway = plan.parts[replicas_.size()], &keeper = plan.parts[replicas_.size() + 1];
  if (gateway.process && gateway.process->incarnation < header.gateway_epoch) {
    see_off_gateway(*gateway.process);  // the present one has just died; this one was leaving before
    gateway.process.reset();
  }
  if (gateway.process) {
    header.gateway_epoch = std::max(header.gateway_epoch.load(), gateway.process->incarnation);
    gateway_epochs_[gateway.process->pid] = gateway.process->incarnation;
  }
  if (keeper.process) keeper_starts_ = keeper.process->incarnation;
  gateway_.inherit(gateway);
  keeper_.inherit(keeper);
  note({.kind = EventKind::kSupervisorStarted, .pid = static_cast<std::uint32_t>(::getpid())});
  // Whoever runs is not kept waiting for what it needed when it began.
  needs_met_ = needs_met_ || header.ever_ready != 0;
  if (header.ever_ready != 0) fleet_.on_ready();  // first: whatever fails from here on, the service is not given up
  for (std::size_t i = 0; i < replicas_.size(); ++i) {
    if (first && !replicas_[i]->spare()) remind_of(replicas_[i]->name(), book[i].wish);
    if (auto begun = replicas_[i]->begin(std::move(book[i])); !begun) {
      last_error_ = begun.error().text();
      verdict_ = {supervise::Outcome::kGaveUp, supervise::Reason::kCannotExecute, 1};
      wish_down("nines");
    }
  }
  begin_endpoints(first);
  empty_slots();
  if (!deployment_.under_way() && phase_ != Phase::kStopping) mend_releases();
  inherited_ = true;
  (void)changed(found_wishes_lost() || let_go);  // the files may be damaged, or of another boot
  if (header.stopping != 0) wish_down("whoever asked the supervisor before");
}

// The service starts, which is another try: for what had ended for good, and, where it is said so, for what a person
// stopped. True: for one of those.
bool Supervisor::begin_anew(std::vector<ReplicaUnit::Inheritance>& book) {
  const bool all = service_.config.replicas.restart == config::Restart::kAlways;
  bool let_go = false;
  for (std::size_t i = 0; i < book.size(); ++i) {
    if (all && !replicas_[i]->spare()) {
      let_go = let_go || !book[i].wish.stopped_by.empty();
      book[i].wish.stopped_by.clear();
      book[i].route.held = 0;
    }
    if (book[i].route.held == 0 && is_stopped(book[i].route))
      book[i].route.state = static_cast<std::uint8_t>(supervise::State::kWaiting);
  }
  return let_go;
}

// Without a deploy everybody is of the one release and there are no spares: what was left of one that could not be
// remembered.
void Supervisor::mend_releases() {
  for (const auto& replica : replicas_) {
    if (replica->spare()) {
      if (!replica->stopped()) replica->retire("nines, since there is no deploy");
    } else if (replica->release() != deployment_.active()->number) {
      replica->replace(deployment_.active(), "nines, since its release is not the present one");
    }
  }
}

// What a person wished before nines was started again, and may have forgotten.
void Supervisor::remind_of(const std::string& name, const Wish& wish) {
  if (!wish.stopped_by.empty())
    warn(name + " stays stopped, as " + wish.stopped_by + " wished; `nines start " + name + "` starts it");
  if (wish.weight == 0 && wish.drained_by.empty())
    warn(name + " gets no requests, as its weight was set to 0 by hand; `nines weight " + name + " default`");
  if (!wish.drained_by.empty())
    warn(name + " gets no requests, as " + wish.drained_by + " wished; `nines undrain " + name +
         "` gives it its share");
}

// The file of the wishes is damaged, or missing while there are some: to be written again.
bool Supervisor::found_wishes_lost() {
  const std::string file = service_.paths.wishes_file();
  const auto wishes = load_wishes(file);
  if (wishes) return false;
  const bool damaged = wishes.error().code() != Code::kNotFound;
  const auto has_wish = [](const auto& target) { return target.wish() != Wish(); };
  const bool any =
      std::ranges::any_of(replicas_, [&](const auto& replica) { return !replica->spare() && has_wish(*replica); }) ||
      std::ranges::any_of(endpoints_, has_wish);
  if (!damaged && !any) return false;
  if (damaged) std::rename(file.c_str(), (file + ".damaged").c_str());
  warn((damaged ? wishes.error().text() + ", and kept as " + file + ".damaged" : file + " is missing") +
       ": who is stopped, drained or weighed by hand is as the running service shows it");
  return true;
}

// One that was asked to leave and still finishes its requests. False: it is gone.
bool Supervisor::see_off_gateway(const supervise::Found& found) {
  auto leaving = supervise::Process::adopt(found.pid, found.start_time);
  if (!leaving) return false;
  gateway_epochs_[found.pid] = found.incarnation;
  (void)leaving->signal(SIGUSR1);
  gateway_.see_off(std::move(*leaving), kLeavingGateway);
  return true;
}

// The shared table knows best. What it does not have, after a change of layout or the death of everybody, is in the
// state file; what that does not have is found by its tag.
std::vector<ReplicaUnit::Inheritance> Supervisor::read_book() {
  const auto saved = load_state(service_.paths.state_file());
  if (!saved && saved.error().code() != Code::kNotFound)
    warn(saved.error().text() + "; what runs is found all the same");
  const bool current = saved && saved->is_of_this_boot() && saved->fingerprint == fingerprint();
  if (current) {
    auto& next = table_->header.next_incarnation;
    next = std::max(next.load(), saved->next_incarnation);
  }
  const auto wishes = load_wishes(service_.paths.wishes_file());
  std::vector<ReplicaUnit::Inheritance> book;
  for (std::size_t i = 0; i < replicas_.size(); ++i) {
    ReplicaUnit::Inheritance inheritance{};
    const plane::Route* const past = current ? saved->find(replicas_[i]->name()) : nullptr;
    const auto route = table_->routes[i].load();
    if (route && route->name == replicas_[i]->name()) {
      inheritance.route = *route;
    } else if (past != nullptr) {
      inheritance.route = *past;
    }
    if (replicas_[i]->spare()) {
      const bool runs = inheritance.route.incarnation != 0 && inheritance.route.held == 0;
      if (!runs) inheritance.wish.stopped_by = "nines, since there is no deploy";
    } else {
      inheritance.wish =
          wishes ? wish_in(*wishes, replicas_[i]->name()) : wish_found_in(inheritance.route, kPlainWeight);
    }
    // Before a reload the slot may have been another's.
    if (route && route->name != replicas_[i]->name()) plane::forget_counts(table_->observed[i]);
    const bool held = !inheritance.wish.stopped_by.empty();
    // Stopped by a reload that was broken off, or by a person whose wish is gone.
    if (inheritance.route.held != 0 && !held && is_stopped(inheritance.route))
      inheritance.route.state = static_cast<std::uint8_t>(supervise::State::kWaiting);
    inheritance.route.held = held ? 1 : 0;
    inheritance.release = deployment_.release_of(inheritance.route);
    book.push_back(std::move(inheritance));
  }
  return book;
}

// There were more before a reload.
void Supervisor::empty_slots() {
  for (std::size_t slot = replicas_.size() + endpoints_.size(); slot < plane::kReplicasMax; ++slot) {
    plane::forget_counts(table_->observed[slot]);
    const auto route = table_->routes[slot].load();
    if (route && route->incarnation == 0 && route->name[0] == '\0') continue;
    table_->routes[slot].store({});
    table_->header.routes_version.fetch_add(1);
  }
}

// Helpers of another program than ours, or that know another table or configuration, are replaced.
void Supervisor::renew_helpers() {
  const bool other_table = plane::ForeignTable::attach(Fd(::fcntl(kOldPlane, F_DUPFD_CLOEXEC, 3))).has_value() &&
                           table_->header.carried == 0;
  const auto outdated = [&](const HelperProcess& helper) {
    return helper.pid() != 0 && (other_table || !is_current(helper.pid()));
  };
  if (outdated(gateway_)) {
    gateway_.replace(
        {.signal = SIGUSR1, .patience = kLeavingGateway, .room = [this](pid_t pid) { return room_by_gateway(pid); }});
  }
  // Two keepers would write the same logs.
  if (outdated(keeper_))
    keeper_.replace({.signal = SIGTERM, .patience = 5s, .room = [this](pid_t pid) { return gone(pid); }});
}

Task<void> Supervisor::room_by_gateway(pid_t pid) {
  const Instant until = loop_.now() + 500ms;
  while (table_->header.gateway_serving == static_cast<std::uint32_t>(pid) && loop_.now() < until) {
    if (!co_await loop_.sleep(2ms)) co_return;
  }
}

Task<void> Supervisor::gone(pid_t pid) {
  const Instant until = loop_.now() + 6s;
  while (loop_.now() < until) {
    const auto stat = supervise::read_process_stat(pid);
    if (!stat || stat->dead() || !co_await loop_.sleep(5ms)) co_return;
  }
}

// Of a table with another layout: at once, and what its gateway still counts while it finishes its requests.
Task<void> Supervisor::carry_counters() {
  auto old = plane::ForeignTable::attach(Fd(::fcntl(kOldPlane, F_DUPFD_CLOEXEC, 3)));
  if (!old) co_return;
  table_->header.carried = 1;
  do {
    old->move_counters_to(*table_);
    if (!co_await loop_.sleep(100ms)) break;
  } while (gateway_.leaving() || !gateway_.settled());
  old->move_counters_to(*table_);
}

// The anchor is no child of ours, but our parent: when it goes, nobody would restart us.
Task<void> Supervisor::hear_anchor() {
  const Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, anchor_, 0)));
  if (pidfd && ::getppid() == anchor_) {
    if (!co_await wait_readable(loop_, pidfd.get())) co_return;
  }
  anchor_gone_ = true;
  sign_lock(kLock);  // now it is us whom a person would signal
  plane::Part part = table_->anchor.load().value_or(plane::Part{});
  part.pid = 0;
  part.since_ns = loop_.now().since_boot.count();
  table_->anchor.store(part);
  note({.kind = EventKind::kAnchorExited, .pid = static_cast<std::uint32_t>(anchor_)});
  changed_.notify_all();
}

Task<supervise::Exit> Supervisor::obituary(pid_t pid, Instant since) {
  Instant until = loop_.now() + kObituaryWait;
  while (true) {
    // Then the anchor keeps it for the next supervisor: until we are cancelled.
    if (phase_ == Phase::kLeaving) until = loop_.now() + kObituaryWait;
    // The anchor writes before it reaps: what is no zombie of its is in the ring by now, or nobody can tell.
    const auto stat = supervise::read_process_stat(pid);
    const bool to_come = stat && stat->dead() && stat->parent == anchor_ && !anchor_gone_;
    if (const auto exit = events_.obituary(pid, since)) co_return *exit;
    if (!to_come || loop_.now() >= until) break;
    if (!co_await wait_for(changed_, until) && (co_await current_scope())->cancelled()) break;
  }
  co_return supervise::Exit{};
}

Task<void> Supervisor::end_followers(const std::string& part, std::uint64_t incarnation) {
  for (int round = 0; round < 5; ++round) {  // one may have started another
    auto found = find_tagged(service_.paths);
    std::erase_if(found, [&](const auto& f) { return f.part != part || f.incarnation != incarnation; });
    if (found.empty()) co_return;
    co_await end_tagged(loop_, service_.paths, found, 0ns);
  }
}

std::string Supervisor::fingerprint() const {
  const SharedRelease active = deployment_.active();
  return fingerprint_of(service_.paths.folder, active ? active->launch : service_.config.replicas);
}

bool Supervisor::is_recorded(std::uint16_t replica, std::uint64_t incarnation) {
  return events_.has_exit_of(replica, incarnation);
}

Result<> Supervisor::changed(bool wished) {
  if (!inherited_) return {};  // what we have not begun is still in the book of the one before
  Result<> kept;
  if (wished) {
    Wishes wishes;
    for (std::size_t slot = 0; slot < replicas_.size(); ++slot) {
      const ReplicaUnit& replica = *replicas_[slot];
      if (replica.spare()) continue;
      const Wish* const before = wish_before_reload(slot);
      wishes[replica.name()] = before != nullptr ? *before : replica.wish();
    }
    for (const Endpoint& endpoint : endpoints_) wishes[endpoint.address()] = endpoint.wish();
    kept = save_wishes(service_.paths.wishes_file(), wishes);
  }
  SavedState state{.boot_id = this_boot(),
                   .fingerprint = fingerprint(),
                   .next_incarnation = table_->header.next_incarnation,
                   .replicas = {}};
  for (const auto& replica : replicas_) state.replicas.push_back(replica->route());
  const auto saved = save_state(service_.paths.state_file(), state);
  // Serving goes on without it. Said once, until it works again.
  if (!saved && state_problem_.empty()) warn(saved.error().text());
  state_problem_ = saved ? "" : saved.error().text();
  return kept;
}

Result<> Supervisor::wish_share(std::string_view name, const std::function<void(Wish&)>& change, plane::Event event) {
  const auto reshare = [&](auto& target, std::size_t slot) {
    Wish wish = target.wish();
    change(wish);
    target.share(std::move(wish));
    event.replica = static_cast<std::uint16_t>(slot);
    event.incarnation = target.route().incarnation;
    note(event);
    routes_changed();
    return changed(true);
  };
  for (std::size_t i = 0; i < replicas_.size(); ++i) {
    if (!replicas_[i]->spare() && replicas_[i]->name() == name) return reshare(*replicas_[i], i);
  }
  for (std::size_t i = 0; i < endpoints_.size(); ++i) {
    if (endpoints_[i].name() == name) return reshare(endpoints_[i], i);
  }
  return failure(Code::kNotFound, "there is no replica \"" + std::string(name) + "\"");
}

Result<> Supervisor::wish_upgrade(const std::string& program) {
  if (anchor_gone_) return failure(Code::kUnavailable, "the anchor is gone");
  if (program.size() >= sizeof table_->header.successor)
    return failure(Code::kInvalid, "the path of the program is too long: " + program);
  if (phase_ == Phase::kStopping) return failure(Code::kRefused, "the service is going down");
  plane::set_field(table_->header.successor, program);
  table_->header.leave = Leave::kSucceeded;
  phase_ = Phase::kLeaving;
  deployment_.suspend();
  changed_.notify_all();
  return {};
}

// Everything else stays as it is. The next program may not be able to read our log, so the keeper takes it first.
Task<void> Supervisor::leave() {
  const Instant until = loop_.now() + 2s;
  while (keeper_.pid() != 0 && table_->header.log_taken + 1 < table_->log.next_number() && loop_.now() < until) {
    net::Doorbell::ring(kBellToKeeper);
    if (!co_await loop_.sleep(5ms)) break;
  }
  (void)changed(false);
  gateway_.let_go();
  keeper_.let_go();
}

bool Supervisor::renewing() const {
  const bool serving = table_->header.gateway_serving == static_cast<std::uint32_t>(gateway_.pid());
  return !gateway_.settled() || !keeper_.settled() || !serving;
}

// What a gateway had open ended with it; killed, it could not count that back. A replica that is to drain would wait.
void Supervisor::clear_gauges_of(pid_t gateway) {
  const auto known = gateway_epochs_.find(gateway);
  const std::uint64_t newest = table_->header.gateway_epoch;
  const std::uint64_t epoch = known != gateway_epochs_.end() ? known->second : newest;
  if (known != gateway_epochs_.end()) gateway_epochs_.erase(known);
  // So many gateways on, its part belongs to another.
  if (epoch + plane::kGauges > newest) gateway::clear_gauges(*table_, epoch);
}

Handover::Hooks Supervisor::handover_hooks() {
  return {.wanted = [this] { return anchor_gone_ && phase_ != Phase::kStopping && phase_ != Phase::kLeaving; },
          .descriptors =
              [this] {
                std::vector<int> all = {kPlane, kBellToGateway, kBellToSupervisor, kSnapshot, kBellToKeeper, kLock};
                all.insert(all.end(), listeners_.begin(), listeners_.end());
                return all;
              },
          .taken =
              [this] {
                to_new_anchor_ = true;
                phase_ = Phase::kLeaving;
                deployment_.suspend();
                changed_.notify_all();
              }};
}

}  // namespace nines::app
