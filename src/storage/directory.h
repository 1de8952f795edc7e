// A folder as a destination. Made, with its parents, at the first put.
//
//   FOLDER/NAME                an object
//   FOLDER/.NAME.PID.partial   being written; its writer holds an flock on it. One without a holder is what a dead
//                              writer left, and the next put removes it.
//
// Objects are written with mode 0600: they hold what the database holds.
#pragma once

#include <memory>
#include <string>

#include "storage/destination.h"

namespace nines::storage {

std::unique_ptr<Destination> open_directory(std::string folder);

}  // namespace nines::storage
