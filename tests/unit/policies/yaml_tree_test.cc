#include "policies/yaml_tree.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace walstitch {
namespace {

std::string ErrorOf(const std::string& content) {
  auto tree = ParseYaml("f.yaml", content);
  return tree ? "accepted" : tree.error().Message();
}

std::string Repeat(const std::string& text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

TEST(YamlTree, EveryNodeKnowsWhereItStands) {
  auto tree = ParseYaml("f.yaml", "a: 1\nb:\n  - x\n  - {c: 'y'}\n");
  ASSERT_TRUE(tree) << tree.error().Message();
  ASSERT_EQ(tree->entries.size(), 2U);
  const YamlNode& list = tree->entries[1].value;
  ASSERT_EQ(list.elements.size(), 2U);
  const YamlNode& value = list.elements[1].entries[0].value;
  EXPECT_EQ(value.scalar, "y");
  EXPECT_EQ(value.mark.line, 4U);
  EXPECT_EQ(value.mark.column, 9U);
}

TEST(YamlTree, WhatCouldBlowUpIsRefused) {
  EXPECT_EQ(ErrorOf("a: &x [1]\nb: [*x, *x]\n"),
            "f.yaml:1:4: an anchor (&name); expected the value without it");
  EXPECT_EQ(ErrorOf("a: *x\n"), "f.yaml:1:4: not valid YAML: the referenced anchor is not defined");
  EXPECT_EQ(ErrorOf("- &x a\n"), "f.yaml:1:3: an anchor (&name); expected the value without it");
  EXPECT_EQ(ErrorOf(std::string(kMaxYamlBytes + 1, 'a')),
            "f.yaml:1:1: the file has more than 1 MiB; expected a smaller one");
  EXPECT_EQ(ErrorOf(Repeat("[", 17) + Repeat("]", 17)), "f.yaml:1:17: nested deeper than 16 levels");
  EXPECT_EQ(ErrorOf(Repeat("- ", 100000)), "f.yaml:1:33: nested deeper than 16 levels");
}

TEST(YamlTree, AMillionBracketsEndSoonAndInAnError) {
  for (const char* text :
       {"[", "{", "{a: ", "[{", "? ", "- ", "a: ", "!", "{a,", "&", "*", "\"", "%", "|\n"}) {
    EXPECT_NE(ErrorOf(Repeat(text, 200000)), "accepted") << text;
  }
}

TEST(YamlTree, WhatNobodyMeansIsRefused) {
  EXPECT_EQ(ErrorOf("a: !!str b\n"),
            "f.yaml:1:4: a tag (tag:yaml.org,2002:str); expected the value without it");
  EXPECT_EQ(ErrorOf("a: 1\nb: 2\na: 3\n"),
            "f.yaml:3:1: \"a\" is given twice; expected each key once in a mapping");
  EXPECT_EQ(ErrorOf("a: 1\n---\nb: 2\n"),
            "f.yaml:2:1: a second document begins here; expected one in a file");
  EXPECT_EQ(ErrorOf("[a]: 1\n"), "f.yaml:1:1: a key that is no text; expected a name before the colon");
  EXPECT_EQ(ErrorOf("a: \"b\n"), "f.yaml:1:4: a quote that is never closed; expected it at the text's end");
  EXPECT_EQ(ErrorOf(""), "f.yaml:1:1: the file is empty; expected settings (key: value)");
  EXPECT_EQ(ErrorOf("# only a comment\n"), "f.yaml:1:1: the file is empty; expected settings (key: value)");
}

TEST(YamlTree, BytesThatAreNoTextAreRefusedWithTheirPlace) {
  EXPECT_EQ(ErrorOf(std::string("a: b\nc\0d", 8)), "f.yaml:2:2: the byte 0x00; expected UTF-8 text");
  // yaml-cpp would take it for the end of the file.
  EXPECT_EQ(ErrorOf("a: 1\n\x04\nb: 2\n"), "f.yaml:2:1: the byte 0x04; expected UTF-8 text");
  EXPECT_EQ(ErrorOf(std::string("\xff\xfe"
                                "a\0",
                                4)),
            "f.yaml:1:1: the byte 0xff; expected UTF-8 text");
}

TEST(YamlTree, SyntaxErrorsHaveTheirPlace) {
  EXPECT_EQ(ErrorOf("a: [1, 2\n"), "f.yaml:2:1: not valid YAML: end of sequence flow not found");
  EXPECT_EQ(ErrorOf("a: 1\n\tb: 2\n"),
            "f.yaml:2:1: not valid YAML: illegal tab when looking for indentation");
}

TEST(YamlTree, QuotesOfBothKindsAreRead) {
  auto tree = ParseYaml("f.yaml", "\xef\xbb\xbf\"a\": 'it''s'\nb: \"q\\\"\"\r\nc: 'end'");
  ASSERT_TRUE(tree) << tree.error().Message();
  EXPECT_EQ(tree->entries[0].value.scalar, "it's");
  EXPECT_EQ(tree->entries[1].value.scalar, "q\"");
  EXPECT_EQ(tree->entries[2].value.scalar, "end");
}

RC_GTEST_PROP(YamlTree, AnyBytesEndInATreeOrAnErrorWithAPlace, (const std::string& content)) {
  auto tree = ParseYaml("f.yaml", content);
  if (!tree) RC_ASSERT(tree.error().Message().starts_with("f.yaml:"));
}

RC_GTEST_PROP(YamlTree, AnyPunctuationEndsInATreeOrAnErrorWithAPlace, ()) {
  auto content = *rc::gen::container<std::string>(rc::gen::element('a', ' ', '\n', ':', '-', '[', ']', '{',
                                                                   '}', ',', '"', '\'', '?', '|', '>', '#',
                                                                   '!', '&', '*', '%', '\\', '\t', '\r'));
  auto tree = ParseYaml("f.yaml", content);
  if (!tree) RC_ASSERT(tree.error().Message().starts_with("f.yaml:"));
}

}  // namespace
}  // namespace walstitch
