#include "cli/document.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "base/check.h"
#include "cli/terminal.h"

namespace nines::cli {
namespace {

std::string padded(const std::string& text, std::size_t width) {
  const std::size_t is = width_of(text);
  return text + std::string(is < width ? width - is : 0, ' ');
}

// So wide that all but the longest line up.
std::size_t column(const Part& part, std::string Figure::* which, std::size_t least, std::size_t most) {
  std::size_t width = least;
  for (const Figure& figure : part.figures) width = std::max(width, width_of(figure.*which));
  return std::min(width, most);
}

std::string text_of(const Document& document) {
  constexpr std::size_t kLabel = 12, kLabelMax = 44, kValue = 12, kValueMax = 24;
  std::string out = document.title + "\n" + document.subtitle + "\n";
  for (const Part& part : document.parts) {
    if (part.figures.empty()) continue;
    out += "\n" + (part.title.empty() ? "" : part.title + "\n");
    const std::size_t label = column(part, &Figure::label, kLabel, kLabelMax);
    const std::size_t value = column(part, &Figure::value, kValue, kValueMax);
    for (const Figure& figure : part.figures) {
      std::string line = "  " + padded(figure.label, label) + "  ";
      line += figure.note.empty() ? figure.value : padded(figure.value, value) + "  " + figure.note;
      out += line + "\n";
    }
  }
  return out + (document.verdict.empty() ? "" : "\n" + document.verdict + "\n");
}

std::string markdown_of(const Document& document) {
  const auto cell = [](std::string text) {
    for (std::size_t at = 0; (at = text.find('|', at)) != std::string::npos; at += 2) text.replace(at, 1, "\\|");
    return text;
  };
  std::string out = "# " + document.title + "\n\n" + document.subtitle + "." +
                    (document.verdict.empty() ? "" : " **" + document.verdict + ".**") + "\n";
  for (const Part& part : document.parts) {
    if (part.figures.empty()) continue;
    out += "\n" + (part.title.empty() ? "" : "## " + part.title + "\n\n") + "| | | |\n|---|---|---|\n";
    for (const Figure& figure : part.figures)
      out += "| " + cell(figure.label) + " | " + cell(figure.value) + " | " + cell(figure.note) + " |\n";
  }
  return out;
}

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      default: out += c;
    }
  }
  return out;
}

std::string html_of(const Document& document) {
  std::string out =
      "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" "
      "content=\"width=device-width\">\n<title>" +
      escaped(document.title) +
      "</title>\n<style>:root{color-scheme:light dark}body{font:16px/1.5 "
      "system-ui,sans-serif;max-width:60rem;margin:2rem "
      "auto;padding:0 1rem}table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.3rem .8rem .3rem "
      "0;border-bottom:1px solid #8884;vertical-align:top}</style>\n<h1>" +
      escaped(document.title) + "</h1>\n<p>" + escaped(document.subtitle) + "</p>\n";
  if (!document.verdict.empty()) out += "<p><strong>" + escaped(document.verdict) + "</strong></p>\n";
  for (const Part& part : document.parts) {
    if (part.figures.empty()) continue;
    if (!part.title.empty()) out += "<h2>" + escaped(part.title) + "</h2>\n";
    out += "<table>\n";
    for (const Figure& figure : part.figures)
      out += "<tr><th>" + escaped(figure.label) + "<td>" + escaped(figure.value) + "<td>" + escaped(figure.note) + "\n";
    out += "</table>\n";
  }
  return out;
}

// RFC 4180.
std::string csv_of(const Document& document) {
  const auto field = [](const std::string& text) {
    if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
    std::string quoted = "\"";
    for (const char c : text) quoted += c == '"' ? "\"\"" : std::string(1, c);
    return quoted + "\"";
  };
  std::string out = "what,value,note\r\n";
  for (const Part& part : document.parts) {
    const std::string before = part.title.empty() ? "" : part.title + ": ";
    for (const Figure& figure : part.figures)
      out += field(before + figure.label) + "," + field(figure.value) + "," + field(figure.note) + "\r\n";
  }
  return out;
}

}  // namespace

std::string one_line(std::string text) {
  const auto commands = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  std::ranges::replace_if(text, commands, ' ');
  return text;
}

std::string render(const Document& given, ReportFormat format) {
  Document document = given;
  for (Part& part : document.parts)
    for (Figure& figure : part.figures)
      for (std::string* const text : {&figure.label, &figure.value, &figure.note}) *text = one_line(std::move(*text));
  switch (format) {
    case ReportFormat::kText: return text_of(document);
    case ReportFormat::kCsv: return csv_of(document);
    case ReportFormat::kHtml: return html_of(document);
    case ReportFormat::kMarkdown: return markdown_of(document);
    case ReportFormat::kJson: break;
  }
  INVARIANT(false);
  return {};
}

std::string dollars_text(double amount) {
  std::array<char, 64> text{};
  constexpr double kCent = 0.01;
  if (amount > 0 && amount < kCent) {
    std::snprintf(text.data(), text.size(), "$%.2g", amount);
    return text.data();
  }
  constexpr double kAll = 1e15;
  const auto cents = static_cast<std::uint64_t>(std::llround(std::clamp(amount, 0.0, kAll) * 100));
  std::snprintf(text.data(), text.size(), ".%02d", static_cast<int>(cents % 100));
  return "$" + with_commas(cents / 100) + (cents % 100 == 0 ? "" : text.data());
}

}  // namespace nines::cli
