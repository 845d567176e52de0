#include "tests/support/sha256.h"

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdio>

namespace hqtrack::testing {
namespace {

using State = std::array<uint32_t, 8>;

// The first 32 bits behind the point of the roots of the first primes.
template <size_t N>
std::array<uint32_t, N> root_bits(double (*root)(double)) {
  std::array<uint32_t, N> bits;
  size_t found = 0;
  for (int candidate = 2; found < N; ++candidate) {
    bool is_prime = true;
    for (int divisor = 2; divisor * divisor <= candidate; ++divisor) is_prime &= candidate % divisor != 0;
    if (!is_prime) continue;
    const double value = root(candidate);
    bits[found++] = static_cast<uint32_t>((value - std::floor(value)) * 0x1p32);
  }
  return bits;
}

void mix_block(State& state, const uint8_t* block) {
  static const std::array<uint32_t, 64> constants = root_bits<64>(std::cbrt);
  std::array<uint32_t, 64> words;
  for (size_t i = 0; i < 16; ++i, block += 4) {
    words[i] = uint32_t{block[0]} << 24 | uint32_t{block[1]} << 16 | uint32_t{block[2]} << 8 | block[3];
  }
  for (size_t i = 16; i < 64; ++i) {
    const uint32_t a = words[i - 15], b = words[i - 2];
    words[i] = words[i - 16] + (std::rotr(a, 7) ^ std::rotr(a, 18) ^ a >> 3) + words[i - 7] +
               (std::rotr(b, 17) ^ std::rotr(b, 19) ^ b >> 10);
  }
  auto [a, b, c, d, e, f, g, h] = state;
  for (size_t i = 0; i < 64; ++i) {
    const uint32_t first = h + (std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25)) +
                           ((e & f) ^ (~e & g)) + constants[i] + words[i];
    const uint32_t second =
        (std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
    h = g, g = f, f = e, e = d + first, d = c, c = b, b = a, a = first + second;
  }
  const State mixed = {a, b, c, d, e, f, g, h};
  for (size_t i = 0; i < 8; ++i) state[i] += mixed[i];
}

}  // namespace

std::string sha256(const void* data, size_t size) {
  State state = root_bits<8>(std::sqrt);
  std::string bytes(static_cast<const char*>(data), size);
  bytes += '\x80';
  while (bytes.size() % 64 != 56) bytes += '\0';
  for (int shift = 56; shift >= 0; shift -= 8) bytes += static_cast<char>(uint64_t{size} * 8 >> shift & 255);
  for (size_t at = 0; at < bytes.size(); at += 64) {
    mix_block(state, reinterpret_cast<const uint8_t*>(bytes.data()) + at);
  }
  std::string text;
  for (const uint32_t word : state) {
    char digits[9];
    std::snprintf(digits, sizeof digits, "%08x", word);
    text += digits;
  }
  return text;
}

}  // namespace hqtrack::testing
