/** Texts as UTF-8, written into a buffer. */

const encoder = new TextEncoder();

/** A buffer to write into: the same memory as bytes and as words of four. */
export const bufferOver = (memory) => ({ bytes: new Uint8Array(memory), words: new Int32Array(memory) });

/**
 * Writes the text at `at`, a multiple of four, and gives the place after it.
 *
 * Ids are short and ASCII nearly always: four characters at a time, a loop is then as fast as the encoder is at
 * best, in every engine. The buffer needs room for three bytes a UTF-16 unit.
 */
export function write(text, { bytes, words }, at) {
  const size = text.length;
  const whole = size & ~3;
  let i = 0;
  for (let word = at >> 2; i < whole; i += 4, word++) {
    const a = text.charCodeAt(i);
    const b = text.charCodeAt(i + 1);
    const c = text.charCodeAt(i + 2);
    const d = text.charCodeAt(i + 3);
    if ((a | b | c | d) > 127) return encoded(text, bytes, at);
    words[word] = a | (b << 8) | (c << 16) | (d << 24);
  }
  for (; i < size; i++) {
    const code = text.charCodeAt(i);
    if (code > 127) return encoded(text, bytes, at);
    bytes[at + i] = code;
  }
  return at + size;
}

const encoded = (text, bytes, at) => at + encoder.encodeInto(text, bytes.subarray(at)).written;

/** The text as bytes of its own. */
export const utf8 = (text) => encoder.encode(text);
