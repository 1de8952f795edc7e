// A bucket of S3, or of a server that speaks like it, as a destination. An object NAME is the key PREFIX/NAME.
//
//   put ── write … ── commit      below `part_bytes`: one PUT, with If-None-Match: * against overwriting
//            └ from there on a multipart upload, a part at a time; aborted when it is not committed
//   open                          ranges of `part_bytes`, each of the version that was there at first (If-Match)
//
// Each payload is hashed and signed with its hash, so the server refuses what was changed on the way. Tries that pass
// are repeated (fetch/retry.h). Where nobody knows how a PUT ended, the object is read and compared. Where a server
// does not heed If-None-Match (Ceph, when a multipart upload is completed), HEAD is asked right before: two writers
// that finish one name in the same moment would then overwrite each other.
//
// Memory: two parts. Nothing of the credentials is ever in an error. One thread at a time per Upload or Download.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "fetch/client.h"
#include "fetch/retry.h"
#include "fetch/sigv4.h"
#include "storage/destination.h"
#include "storage/lease.h"

namespace nines::storage {

struct S3Options {
  std::string bucket;
  std::string prefix;    // without slashes around it; empty: the bucket itself
  std::string endpoint;  // https://HOST[:PORT]: the bucket goes into the path; empty: AWS, and it goes into the host
  std::string region = "us-east-1";
  fetch::Credentials credentials;
  // AWS's smallest part is 5 MiB; 10,000 parts are its most: 156 GiB an archive.
  std::size_t part_bytes = 16 << 20;
  std::size_t parts_max = 10'000;
  std::size_t objects_max = 100'000;  // of the prefix; more are an error
  Duration orphan_age = 24h;          // unfinished uploads below the prefix older than this were left by a dead writer
  fetch::Retry retry;
  fetch::TimeOuts time_outs;
  std::function<WallTime()> wall;
  std::function<void(Duration)> pause;  // blocks for about so long
  std::uint64_t seed = 0;               // of the jitter
};

// "s3://BUCKET/PREFIX" into bucket and prefix; nullopt: it is not that, or S3 knows no such bucket name.
struct S3Place {
  std::string bucket, prefix;
  bool operator==(const S3Place&) const = default;
};
std::optional<S3Place> parse_s3(std::string_view url);

std::unique_ptr<Destination> open_s3(S3Options options);
// Small objects below the same prefix, for leases.
std::unique_ptr<ConditionalStore> open_s3_conditions(S3Options options);

}  // namespace nines::storage
