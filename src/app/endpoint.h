// A server elsewhere in the book of the shared table: where it is and what its share is. Nobody here starts or stops
// it; whether it is ready is the gateway's verdict. One thread; whoever owns it is the table's writer.
#pragma once

#include <optional>
#include <string>

#include "app/state_file.h"
#include "base/time.h"
#include "config/config.h"
#include "plane/plane.h"

namespace nines::app {

class Endpoint {
 public:
  Endpoint(plane::Table& table, std::size_t slot, std::string name, const config::Endpoint& at);

  // Writes its record. A record of the same address is gone on with, and what the gateway has found out with it.
  // `before`: what is known of the slot.
  void begin(const std::optional<plane::Route>& before, Wish wish, Instant now);
  // The gateway's verdict may have changed. What is to be noted: it became ready, or unready.
  std::optional<plane::Event> look(Instant now);

  const std::string& name() const { return name_; }
  std::string address() const { return at_.at.text(); }
  int configured_weight() const { return at_.weight; }
  const plane::Route& route() const { return route_; }
  const Wish& wish() const { return wish_; }
  // What share of the requests it gets; what it has goes on.
  void share(Wish wish);
  bool ready() const;

 private:
  void publish();

  plane::Table& table_;
  const std::size_t slot_;
  const std::string name_;
  const config::Endpoint at_;
  Wish wish_;
  plane::Route route_;
  bool heard_ = false;  // there was a verdict
};

}  // namespace nines::app
