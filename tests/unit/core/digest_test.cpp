// Known answers: FIPS 180-4 (NIST's examples), RFC 4231 (HMAC), RFC 1321 (MD5).
#include "core/digest.hpp"

#include <array>
#include <cctype>

#include <gtest/gtest.h>

#include "core/text.hpp"

namespace daybook::core {
namespace {

struct Answer {
  std::string message;
  std::string_view hex;
};

TEST(Sha256, knows_the_answers_of_fips_180_4) {
  const std::vector<Answer> answers = {
      {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
      {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
      {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
       "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
      {"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmn"
       "opq"
       "rsmnopqrstnopqrstu",
       "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"},
      {std::string(1'000'000, 'a'),
       "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"}};
  for (const Answer& answer : answers) {
    EXPECT_EQ(sha256(as_bytes(answer.message)).hex(), answer.hex);
  }
}

TEST(Sha256, does_not_care_how_the_bytes_are_cut) {
  const std::string message(10'000, 'x');
  const Bytes all = as_bytes(message);
  const Sha256 whole = sha256(all);
  for (const std::size_t cut : {std::size_t{0}, std::size_t{1}, std::size_t{63}, std::size_t{64},
                                std::size_t{65}, std::size_t{9'999}, std::size_t{10'000}}) {
    EXPECT_EQ(sha256(Slices{all.first(cut), {}, all.subspan(cut)}), whole);
    Sha256Hasher hasher;
    hasher.update(all.first(cut));
    Sha256Hasher moved = std::move(hasher);
    moved.update(all.subspan(cut));
    EXPECT_EQ(moved.finish(), whole);
  }
}

TEST(Sha256, reads_its_own_hex_and_nothing_else) {
  const Sha256 digest = sha256(as_bytes("abc"));
  EXPECT_EQ(Sha256::from_hex(digest.hex()), digest);
  std::string upper = digest.hex();
  for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  EXPECT_EQ(Sha256::from_hex(upper), digest);
  for (const std::string& bad :
       {std::string(), digest.hex().substr(2), digest.hex() + "00", std::string(64, 'g')}) {
    EXPECT_FALSE(Sha256::from_hex(bad)) << bad;
  }
}

TEST(Hmac, knows_the_answers_of_rfc_4231) {
  struct HmacAnswer {
    std::string key;
    std::string message;
    std::string_view hex;
  };
  const std::vector<HmacAnswer> answers = {
      {std::string(20, '\x0b'), "Hi There",
       "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
      {"Jefe", "what do ya want for nothing?",
       "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
      {std::string(20, '\xaa'), std::string(50, '\xdd'),
       "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
      {std::string(131, '\xaa'), "Test Using Larger Than Block-Size Key - Hash Key First",
       "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"}};
  for (const HmacAnswer& answer : answers) {
    EXPECT_EQ(hmac_sha256(as_bytes(answer.key), as_bytes(answer.message)).hex(), answer.hex);
  }
}

TEST(Md5, knows_the_answers_of_rfc_1321) {
  const std::vector<Answer> answers = {
      {"", "d41d8cd98f00b204e9800998ecf8427e"},
      {"abc", "900150983cd24fb0d6963f7d28e17f72"},
      {"12345678901234567890123456789012345678901234567890123456789012345678901234567890",
       "57edf4a22be3c955ac49da2e2107b67a"}};
  for (const Answer& answer : answers) {
    const Bytes all = as_bytes(answer.message);
    EXPECT_EQ(to_hex(md5({all})), answer.hex);
    EXPECT_EQ(to_hex(md5({all.first(all.size() / 2), all.subspan(all.size() / 2)})), answer.hex);
  }
}

}  // namespace
}  // namespace daybook::core
