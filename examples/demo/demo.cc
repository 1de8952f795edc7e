#include "demo.h"

#include <csignal>
#include <cstdio>

#include "ask.h"
#include "disaster.h"
#include "live.h"
#include "report.h"

namespace nines::demo {
namespace {

void say(const std::string& text) {
  std::fputs(text.c_str(), stdout);
  std::fflush(stdout);
}

void complain(const std::string& text) { std::fprintf(stderr, "nines-demo: %s\n", text.c_str()); }

std::string indented(const std::string& text) {
  std::string out = "  ";
  for (const char c : text) out += c == '\n' ? std::string("\n  ") : std::string(1, c);
  return out + "\n";
}

std::string plain_seconds(Duration d) {
  return std::to_string(std::chrono::duration_cast<std::chrono::seconds>(d).count()) + " s";
}

}  // namespace

Demo::Demo(net::EpollLoop& loop, const Options& options, cli::Style style)
    : loop_(loop),
      options_(options),
      style_(style),
      service_(loop, {.programs = options.programs,
                      .folder = options.folder,
                      .ports = options.ports,
                      .note = [](const std::string& text) { say("  " + text + "\n"); }}) {}

Task<int> Demo::run() {
  net::Signals signals(loop_, {SIGINT, SIGTERM, SIGHUP});
  CancelScope acting;
  TaskGroup hearing;
  hearing.start(hear_signals(signals, acting));
  const auto acted = co_await act().under(acting);
  if (!acted && !signal_) complain(acted.error().text());
  if (signal_ && !judged_) complain("interrupted; stopping what was started");
  const bool stopped = co_await stop();
  hearing.cancel();
  co_await hearing.join();
  if (signal_ && !judged_) co_return 128 + *signal_;
  const bool held = judged_ && acted.has_value();
  co_return held&& stopped ? 0 : 1;
}

Task<void> Demo::hear_signals(net::Signals& signals, CancelScope& acting) {
  while (const auto signal = co_await signals.next()) {
    if (!signal_) signal_ = *signal;
    acting.cancel();
  }
}

Task<Result<>> Demo::act() {
  say(style_.paint(cli::Colour::kBold, "A real AI server under nines: killed, backed up, destroyed, restored") + "\n");
  if (auto started = co_await start(); !started) co_return started;
  if (auto asked = co_await ask(); !asked) co_return asked;
  if (auto killed = co_await use_and_kill(); !killed) co_return killed;
  if (auto restored = co_await destroy_and_restore(); !restored) co_return restored;
  judged_ = true;
  if (!options_.stays) co_return Result<>{};
  co_return co_await stay();
}

Task<Result<>> Demo::start() {
  say(heading("1  Start: " + std::to_string(kReplicas) + " replicas of language-id behind one address", style_));
  if (auto prepared = co_await service_.prepare(); !prepared) co_return failure(std::move(prepared.error()));
  say("  in " + service_.folder() + ", where nines.yaml says what to run\n");
  say_command("nines up --detach");
  const Instant began = net::boot_time();
  const auto said = co_await service_.up();
  if (!said) co_return failure(said.error());
  say(indented(*said) + "  it took " + format_duration(net::boot_time() - began) + "; dashboard " +
      service_.dashboard() + "\n");
  co_return Result<>{};
}

Task<Result<>> Demo::ask() {
  say(heading("2  Ask: in which language is this?", style_));
  std::vector<Sample> samples;
  for (auto& answer : co_await ask_all(loop_, service_)) {
    if (!answer) co_return failure(std::move(answer.error()).in("classify a sentence"));
    samples.push_back(std::move(*answer));
  }
  samples_ = samples.size();
  say(samples_text(samples, style_));
  for (const Sample& sample : samples) {
    if (!sample.right())
      co_return failure(Code::kProtocol, "a sentence in " + std::string(sample.asked.language) + " was taken for " +
                                             std::string(language_of(sample.verdict.label)));
  }
  co_return Result<>{};
}

Task<Result<>> Demo::use_and_kill() {
  const Plan& plan = options_.plan;
  Experiment experiment(loop_, service_, plan, samples_);
  if (auto begun = experiment.begin(); !begun) co_return begun;
  say(heading("3  Kill replicas: while " + std::to_string(plan.connections) + " clients use them", style_));
  say("  The clients go on for " + plain_seconds(plan.lasts) +
      ", through steps 3, 4 and 5. Half of their requests are GET /health,\n"
      "  half POST /classify, which takes 20 ms. No client ever retries.\n\n");
  auto killed = co_await experiment.kill_replicas([this](const Kill& kill) { say(kill_text(kill, style_)); });
  if (!killed) co_return killed;
  say(style_.paint(cli::Colour::kBold, "4  Kill nines itself") + "\n\n");
  killed = co_await experiment.kill_parts([this](const PartKill& kill) { say(part_kill_text(kill, style_)); });
  if (!killed) co_return killed;
  say(style_.paint(cli::Colour::kBold, "5  Back up: the clients go on writing") + "\n\n");
  auto backed_up = co_await experiment.back_up([this](const Backup& backup) {
    say_command("nines backup now");
    say(indented(backup.said) + backup_text(backup, style_) + "\n");
  });
  if (!backed_up) co_return backed_up;
  const auto findings = co_await experiment.end();
  if (!findings) co_return failure(findings.error());
  backup_ = findings->backup;
  say(style_.paint(cli::Colour::kBold, "6  What the clients saw") + "\n\n" + figures_text(*findings, style_) + "\n");
  co_return judge(claims_of(*findings));
}

Task<Result<>> Demo::destroy_and_restore() {
  say(heading("7  Destroy the database, and put it back", style_));
  say("  The clients have left: while files are put back no server runs, so requests would wait or fail.\n\n");
  Disaster disaster(loop_, service_);
  auto damage = co_await disaster.strike();
  if (!damage) co_return failure(std::move(damage.error()).in("destroy the database"));
  say(damage_text(*damage, style_));
  say_command("nines restore --yes");
  auto repair = co_await disaster.repair(backup_);
  if (!repair) co_return failure(std::move(repair.error()).in("restore the database"));
  say(indented(repair->said) + "\n");
  co_return judge(claims_of(Aftermath{std::move(*damage), std::move(*repair)}));
}

Result<> Demo::judge(const std::vector<Claim>& claims) {
  say(claims_text(claims, style_));
  const std::string wrong = broken(claims);
  if (wrong.empty()) return {};
  judged_ = true;
  return failure(Code::kInvalid, "this should not have happened:" + wrong);
}

void Demo::say_command(const std::string& command) {
  say("  " + style_.paint(cli::Colour::kCyan, "$ " + command) + "\n");
}

Task<Result<>> Demo::stay() {
  say(heading("8  Your turn: it stays up until Ctrl-C", style_));
  say(things_to_try(
          {.url = "http://" + service_.address(), .dashboard = service_.dashboard(), .folder = service_.folder()},
          style_) +
      "\n");
  auto shown = co_await show_live(loop_, service_);
  if (shown || shown.error().code() == Code::kCancelled) co_return Result<>{};
  if (shown.error().code() == Code::kUnavailable) {
    say("\n  Somebody else ended the service, so the demo ends, too.\n");
    co_return Result<>{};
  }
  co_return failure(std::move(shown.error()).in("the service gives no status any more"));
}

Task<bool> Demo::stop() {
  const bool begun = service_.begun();
  const auto said = co_await service_.down();
  if (!said) complain(said.error().text());
  if (!said || !begun) co_return said.has_value();
  if (!said->empty()) say("\n  " + style_.paint(cli::Colour::kCyan, "$ nines down") + "\n" + indented(*said));
  say("  nothing is left running\n");
  co_return true;
}

}  // namespace nines::demo
