#include "plane/event_text.h"

namespace nines::plane {
namespace {

std::string printable(std::string_view text) {
  std::string out;
  for (const char c : text) out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  return out;
}

std::string with_reason(std::string words, const std::string& reason) {
  return reason.empty() ? words : std::move(words) + ": " + reason;
}

std::string with_pid(std::string words, const Event& event) {
  return event.pid == 0 ? words : std::move(words) + ", pid " + std::to_string(event.pid);
}

std::string listening_words(const Event& event) {
  if (event.a > 0) return "listens on port " + std::to_string(event.a);
  return event.text[0] != '\0' ? std::string("listens on ") + event.text : "listens";
}

std::string ready_words(const Event& event) {
  std::string words = "ready";
  if (event.a > 0) words += " after " + format_duration(Duration(event.a));
  if (event.b > 0) words += " on port " + std::to_string(event.b);
  return with_pid(std::move(words), event);
}

std::string unrouted_words(const Event& event) {
  if (event.a <= 0) return "gets no more requests";
  return "gets no more requests, " + std::to_string(event.a) + (event.a == 1 ? " is" : " are") + " to be finished";
}

std::string with_duration(std::string words, std::int64_t ns) {
  return ns <= 0 ? words : std::move(words) + ", in " + format_duration(Duration(ns));
}

std::string backup_words(const Event& event, const std::string& archive) {
  std::string words = with_reason("taken", archive);
  if (event.a > 0) words += ", " + std::to_string(event.a) + " bytes";
  return with_duration(std::move(words), event.b);
}

std::string ejected_words(const Event& event, const std::string& cause) {
  const std::string words = event.a > 0 ? "is ejected for " + format_duration(Duration(event.a)) : "is ejected";
  return with_reason(words, cause);
}

std::string healthy_words(const Event& event) {
  return std::to_string(event.a) + " of " + std::to_string(event.b) + (event.b == 1 ? " replica" : " replicas") +
         (event.a == 1 ? " is" : " are") + " healthy";
}

std::string_view subject_of(const Event& event, std::string_view replica) {
  switch (event.kind) {
    case EventKind::kServiceStarted: return event.text[0] != '\0' ? event.text : "service";
    case EventKind::kServiceStopping: return "service";
    case EventKind::kGatewayStarted:
    case EventKind::kGatewayExited:
    case EventKind::kPanicBegan:
    case EventKind::kPanicEnded: return "gateway";
    case EventKind::kKeeperStarted:
    case EventKind::kKeeperExited: return "keeper";
    case EventKind::kSupervisorStarted:
    case EventKind::kSupervisorExited: return "supervisor";
    case EventKind::kAnchorStarted:
    case EventKind::kAnchorExited: return "anchor";
    case EventKind::kBackupTaken:
    case EventKind::kBackupFailed: return "backup";
    case EventKind::kRestored:
    case EventKind::kUpgraded:
    case EventKind::kEventsLost: return "service";
    case EventKind::kWaitsFor:
    case EventKind::kNeedsMet:
    case EventKind::kServiceDegraded:
    case EventKind::kServiceDown:
    case EventKind::kServiceUp:
    case EventKind::kReloadWished:
    case EventKind::kMaintenancePlanned:
    case EventKind::kMaintenanceEnded:
    case EventKind::kCorrected: return "service";
    case EventKind::kIncidentAcknowledged:
    case EventKind::kIncidentNoted:
    case EventKind::kIncidentsMerged: return "incident";
    case EventKind::kClockStepped:
    case EventKind::kNotMeasured: return "keeper";
    case EventKind::kHostDown: return "host";
    case EventKind::kDeployBegan:
    case EventKind::kDeployMoved:
    case EventKind::kDeployDone:
    case EventKind::kDeployUndone: return "deploy";
    case EventKind::kFileDamaged:
    case EventKind::kFilePutBack: return "file";
    case EventKind::kAdopted: return replica.empty() ? event.text : replica;
    default: return replica;
  }
}

std::string words_of(const Event& event) {
  const std::string reason = printable(event.text);
  switch (event.kind) {
    case EventKind::kServiceStarted: return "is starting";
    case EventKind::kServiceStopping: return with_reason("is stopping", reason);
    case EventKind::kSpawned: return with_pid("started", event);
    case EventKind::kSpawnFailed: return with_reason("could not be started", reason);
    case EventKind::kListening: return listening_words(event);
    case EventKind::kReady: return ready_words(event);
    case EventKind::kUnready: return with_reason(event.a == 1 ? "is not ready" : "is not ready any more", reason);
    // An ordered end is no mishap, however it came about.
    case EventKind::kExited: return with_reason(event.b == 0 ? "stopped" : "exited", reason);
    case EventKind::kUnrouted: return unrouted_words(event);
    case EventKind::kDraining: return "gets no new requests and finishes those it has";
    case EventKind::kTerminated: return "was asked to end (SIGTERM)";
    case EventKind::kKilled: return with_reason("was killed (SIGKILL)", reason);
    case EventKind::kGatewayStarted:
    case EventKind::kKeeperStarted:
    case EventKind::kSupervisorStarted:
    case EventKind::kAnchorStarted: return with_pid("started", event);
    case EventKind::kGatewayExited:
    case EventKind::kKeeperExited:
    case EventKind::kSupervisorExited: return with_reason(event.b == 0 ? "left" : "exited", reason);
    case EventKind::kAnchorExited: return "is gone: nobody restarts the supervisor until `nines upgrade`";
    case EventKind::kAdopted: return with_pid("runs on, found", event);
    case EventKind::kStopWished: return with_reason("is to stop", reason);
    case EventKind::kStartWished: return with_reason("is to start", reason);
    case EventKind::kRestartWished: return with_reason("is to restart", reason);
    case EventKind::kBackupTaken: return backup_words(event, reason);
    case EventKind::kBackupFailed: return with_reason("failed", reason);
    case EventKind::kRestored: return with_duration(with_reason("was restored", reason), event.a);
    case EventKind::kUpgraded: return with_reason("was upgraded", reason);
    case EventKind::kEventsLost: return "lost " + std::to_string(event.a) + " events: what they said is unknown";
    case EventKind::kEjected: return ejected_words(event, reason);
    case EventKind::kUnejected: return with_reason("gets requests again", reason);
    case EventKind::kHung: return with_reason("hangs", reason);
    case EventKind::kCanaryFailed: return with_reason("fails its canary", reason);
    case EventKind::kCanaryPassed: return with_duration("passes its canary again", event.a);
    case EventKind::kPanicBegan: return "ignores ejections: only " + healthy_words(event);
    case EventKind::kPanicEnded: return "minds ejections again: " + healthy_words(event);
    case EventKind::kDrainWished: return with_reason("is to get no new requests", reason);
    case EventKind::kUndrainWished: return with_reason("is to get requests again", reason);
    case EventKind::kWeightWished:
      if (event.a < 0) return with_reason("is to get the configured share of the requests", reason);
      return with_reason("is to get " + std::to_string(event.a) + " % of a plain replica's requests", reason);
    case EventKind::kWaitsFor: return with_reason("waits for what it needs", reason);
    case EventKind::kNeedsMet: return with_duration("has what it needs", event.a);
    case EventKind::kOutOfMemory: return with_reason("lost a process for lack of memory", reason);
    case EventKind::kGivenUp: return with_reason("is given up", reason);
    case EventKind::kDeployBegan: return with_reason("of release " + std::to_string(event.a) + " begins", reason);
    case EventKind::kDeployMoved: return with_reason("of release " + std::to_string(event.a), reason);
    case EventKind::kDeployDone: return with_reason("of release " + std::to_string(event.a) + " is done", reason);
    case EventKind::kDeployUndone:
      return with_reason("of release " + std::to_string(event.a) + " is rolled back", reason);
    case EventKind::kFileDamaged: return with_reason("is damaged", reason);
    case EventKind::kFilePutBack: return with_duration(with_reason("was put back", reason), event.a);
    case EventKind::kReloadWished: return with_reason("is to go on with another configuration", reason);
    case EventKind::kCrashLoop:
      return with_reason("ends again and again, " + std::to_string(event.a) + " times in a row", reason);
    case EventKind::kServiceDegraded: return with_reason("is degraded", reason);
    case EventKind::kServiceDown: return with_reason("is down", reason);
    case EventKind::kServiceUp:
      return with_reason(
          "is well again; " + std::to_string(event.b) + (event.b == 1 ? " request" : " requests") + " failed", reason);
    case EventKind::kClockStepped:
      return std::string("saw the wall clock set ") + (event.a < 0 ? "back" : "forward") + " by " +
             format_duration(Duration(std::abs(event.a)));
    case EventKind::kNotMeasured: return with_reason("saw nothing for " + std::to_string(event.a) + " s", reason);
    case EventKind::kHostDown: return with_reason("was gone", reason);
    case EventKind::kMaintenancePlanned:
      return with_reason("has maintenance from " + format_rfc3339(WallTime(std::chrono::seconds(event.a))) + " to " +
                             format_rfc3339(WallTime(std::chrono::seconds(event.b))),
                         reason);
    case EventKind::kMaintenanceEnded: return with_reason("has no maintenance any more", reason);
    case EventKind::kIncidentAcknowledged: return with_reason(std::to_string(event.a) + " is acknowledged", reason);
    case EventKind::kIncidentNoted: return with_reason(std::to_string(event.a), reason);
    case EventKind::kIncidentsMerged:
      return with_reason(std::to_string(event.b) + " is part of " + std::to_string(event.a), reason);
    case EventKind::kCorrected:
      return with_reason("is corrected from " + format_rfc3339(WallTime(std::chrono::seconds(event.a))) + " to " +
                             format_rfc3339(WallTime(std::chrono::seconds(event.b))),
                         reason);
    case EventKind::kReaped: return "was reaped";
  }
  return with_reason("event " + std::to_string(static_cast<int>(event.kind)), reason);
}

}  // namespace

EventText text_of(const Event& event, std::string_view replica) {
  return {printable(subject_of(event, replica)), words_of(event)};
}

std::string describe(const Event& event, std::string_view replica) {
  const EventText text = text_of(event, replica);
  return text.subject.empty() ? text.words : text.subject + " " + text.words;
}

Mood mood_of(const Event& event) {
  switch (event.kind) {
    case EventKind::kReady: return Mood::kGood;
    case EventKind::kUnready:
    case EventKind::kEjected:
    case EventKind::kServiceDegraded:
    case EventKind::kNotMeasured:
    case EventKind::kKilled: return Mood::kWarning;
    case EventKind::kSpawnFailed:
    case EventKind::kAnchorExited:
    case EventKind::kBackupFailed:
    case EventKind::kEventsLost:
    case EventKind::kHung:
    case EventKind::kCanaryFailed:
    case EventKind::kOutOfMemory:
    case EventKind::kGivenUp:
    case EventKind::kCrashLoop:
    case EventKind::kServiceDown:
    case EventKind::kHostDown:
    case EventKind::kDeployUndone:
    case EventKind::kFileDamaged:
    case EventKind::kPanicBegan: return Mood::kBad;
    case EventKind::kWaitsFor: return Mood::kWarning;
    case EventKind::kServiceUp:
    case EventKind::kNeedsMet:
    case EventKind::kDeployDone:
    case EventKind::kFilePutBack:
    case EventKind::kAdopted:
    case EventKind::kRestored:
    case EventKind::kUpgraded:
    case EventKind::kUnejected:
    case EventKind::kCanaryPassed:
    case EventKind::kPanicEnded: return Mood::kGood;
    case EventKind::kExited:
    case EventKind::kGatewayExited:
    case EventKind::kKeeperExited:
    case EventKind::kSupervisorExited: return event.b == 0 ? Mood::kNeutral : Mood::kBad;
    default: return Mood::kNeutral;
  }
}

std::optional<EventKind> event_kind(std::string_view name) {
  for (std::uint16_t number = 1; number < 256; ++number) {
    const auto kind = static_cast<EventKind>(number);
    if (name_of(kind) == name) return name == "unknown" ? std::nullopt : std::optional(kind);
  }
  return std::nullopt;
}

}  // namespace nines::plane
