#include "ask.h"

#include <algorithm>

#include "http/client.h"

namespace nines::demo {

Task<Result<Sample>> classify(net::Loop& loop, const Service& service, Sentence sentence) {
  const auto answer = co_await http::fetch(loop, {.to = net::Address::loopback(service.port()),
                                                  .method = "POST",
                                                  .target = "/classify",
                                                  .host = service.address(),
                                                  .body = classify_body(sentence.text)});
  if (!answer) co_return failure(answer.error());
  if (answer->head.status() != 200)
    co_return failure(Code::kProtocol, "status " + std::to_string(answer->head.status()) + " " + answer->body);
  auto verdict = parse_verdict(answer->body);
  if (!verdict) co_return failure(std::move(verdict.error()));
  co_return Sample{sentence, std::move(*verdict), std::string(answer->head.find("X-Process-Id").value_or("–"))};
}

Task<std::vector<Result<Sample>>> ask_all(net::Loop& loop, const Service& service) {
  std::vector<Result<Sample>> answers;
  for (const Sentence& sentence : sentences()) answers.push_back(co_await classify(loop, service, sentence));
  co_return answers;
}

std::size_t right_ones(const std::vector<Result<Sample>>& answers) {
  return static_cast<std::size_t>(
      std::ranges::count_if(answers, [](const Result<Sample>& answer) { return answer && answer->right(); }));
}

}  // namespace nines::demo
