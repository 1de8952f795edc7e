#include "demo.h"

#include <csignal>
#include <cstdio>

#include "http/client.h"
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
                      .port = options.port,
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
  say(style_.paint(cli::Colour::kBold, "A real AI server under nines, killed while it is used") + "\n");
  if (auto started = co_await start(); !started) co_return started;
  if (auto asked = co_await ask(); !asked) co_return asked;
  if (auto killed = co_await kill_replicas(); !killed) co_return killed;
  if (!options_.stays) co_return Result<>{};
  co_return co_await stay();
}

Task<Result<>> Demo::start() {
  say(heading("1  Start: " + std::to_string(kReplicas) + " replicas of language-id behind one address", style_));
  if (auto prepared = co_await service_.prepare(); !prepared) co_return failure(std::move(prepared.error()));
  say("  in " + service_.folder() + ", where nines.yaml says what to run\n");
  say("  " + style_.paint(cli::Colour::kCyan, "$ nines up --detach") + "\n");
  const Instant began = net::boot_time();
  const auto said = co_await service_.up();
  if (!said) co_return failure(said.error());
  say(indented(*said) + "  it took " + format_duration(net::boot_time() - began) + "\n");
  co_return Result<>{};
}

Task<Result<>> Demo::ask() {
  say(heading("2  Ask: in which language is this?", style_));
  std::vector<Sample> samples;
  for (const Sentence& sentence : sentences()) {
    auto sample = co_await classify(sentence);
    if (!sample) co_return failure(std::move(sample.error()).in("classify a sentence"));
    samples.push_back(std::move(*sample));
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

Task<Result<Sample>> Demo::classify(const Sentence& sentence) {
  const auto answer = co_await http::fetch(loop_, {.to = net::Address::loopback(service_.port()),
                                                   .method = "POST",
                                                   .target = "/classify",
                                                   .host = service_.address(),
                                                   .body = classify_body(sentence.text)});
  if (!answer) co_return failure(answer.error());
  if (answer->head.status() != 200)
    co_return failure(Code::kProtocol, "status " + std::to_string(answer->head.status()) + " " + answer->body);
  auto verdict = parse_verdict(answer->body);
  if (!verdict) co_return failure(std::move(verdict.error()));
  co_return Sample{sentence, std::move(*verdict), std::string(answer->head.find("X-Process-Id").value_or("–"))};
}

Task<Result<>> Demo::kill_replicas() {
  const Plan& plan = options_.plan;
  say(heading("3  Kill: while " + std::to_string(plan.connections) + " clients use it for " + plain_seconds(plan.lasts),
              style_));
  say("  Half of their requests are GET /health, half POST /classify, which takes 20 ms. No client ever retries.\n\n");
  Experiment experiment(loop_, service_, plan, samples_, [this](const Kill& kill) { say(kill_text(kill, style_)); });
  const auto findings = co_await experiment.run();
  if (!findings) co_return failure(findings.error());
  const auto claims = claims_of(*findings);
  say(style_.paint(cli::Colour::kBold, "4  What the clients saw") + "\n\n" + figures_text(*findings, style_) + "\n" +
      claims_text(claims, style_));
  std::string broken;
  for (const Claim& claim : claims) broken += claim.holds ? "" : "\n  " + claim.text;
  judged_ = true;
  if (!broken.empty()) co_return failure(Code::kInvalid, "this should not have happened:" + broken);
  co_return Result<>{};
}

Task<Result<>> Demo::stay() {
  say(heading("5  Your turn: it stays up until Ctrl-C", style_));
  say(things_to_try("http://" + service_.address(), service_.folder(), style_) + "\n");
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
