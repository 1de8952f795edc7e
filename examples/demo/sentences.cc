#include "sentences.h"

#include <array>
#include <boost/json.hpp>

#include "http/writer.h"

namespace nines::demo {
namespace {

constexpr std::array<Sentence, 12> kSentences = {{
    {"en", "English", "Would you mind closing the window before the storm arrives?"},
    {"de", "German", "Die Brücke wird seit drei Wochen repariert, deshalb fahren wir außen herum."},
    {"fr", "French", "Nous avons attendu le dernier train pendant plus d'une heure."},
    {"es", "Spanish", "Mi abuela siempre guardaba las cartas en una caja de madera."},
    {"it", "Italian", "Quando piove così forte, preferisco restare a casa a leggere."},
    {"pt", "Portuguese", "As crianças não quiseram sair da praia antes do pôr do sol."},
    {"nl", "Dutch", "Mijn buurman heeft gisteren een nieuwe fiets voor zijn dochter gekocht."},
    {"sv", "Swedish", "Vi åkte skidor hela dagen och drack varm choklad på kvällen."},
    {"fi", "Finnish", "Järvi jäätyi viime yönä, joten lapset pääsivät vihdoin luistelemaan."},
    {"pl", "Polish", "W sobotę pojedziemy nad jezioro, jeśli tylko przestanie padać."},
    {"tr", "Turkish", "Akşam yemeğinden sonra sahilde uzun bir yürüyüş yaptık."},
    {"ru", "Russian", "Зимой в нашем городе темнеет рано, и на улицах зажигают фонари."},
}};

}  // namespace

std::span<const Sentence> sentences() { return kSentences; }

std::string_view language_of(std::string_view label) {
  for (const Sentence& sentence : kSentences) {
    if (sentence.label == label) return sentence.language;
  }
  return label;
}

std::string classify_body(std::string_view text) { return R"({"text":)" + http::json_quoted(text) + "}"; }

Result<Verdict> parse_verdict(std::string_view text) {
  boost::system::error_code error;
  const auto value = boost::json::parse(text, error);
  const auto* const object = error ? nullptr : value.if_object();
  const auto* const label = object != nullptr ? object->if_contains("label") : nullptr;
  const auto* const confidence = object != nullptr ? object->if_contains("confidence") : nullptr;
  if (label == nullptr || !label->is_string() || confidence == nullptr || !confidence->is_number())
    return failure(Code::kProtocol, "this is no classification: " + std::string(text.substr(0, 200)));
  return Verdict{std::string(label->as_string()), confidence->to_number<double>()};
}

}  // namespace nines::demo
