/** XXH3 64, seed 0, over UTF-8: in WebAssembly where that is allowed, in 32-bit halves elsewhere. */

import { bufferOver, utf8, write } from './utf8.js';
import { drawOf, hashOf } from './xxh3_limbs.js';
import { FREE, compiled } from './xxh3_wasm.js';

const PAGE = 65536;
/** Where a text stands; what is hashed before it ends here. A multiple of four, for `write`. */
const TEXT = 8192;

function engine(name, memory, hash, draw) {
  const buffer = bufferOver(memory);
  /** Whose prefix stands before the text. */
  let owner = null;
  return {
    /** Which of the two it is. */
    name,

    /** The hash of a text, as a BigInt. */
    hash64(text) {
      if (3 * text.length > PAGE - TEXT) {
        const all = utf8(text);
        return hashOf(all, 0, all.length);
      }
      return BigInt.asUintN(64, hash(TEXT, write(text, buffer, TEXT) - TEXT));
    },

    /**
     * A function from a text to the upper 53 bits of the hash of prefix + text.
     *
     * The prefix stays in memory between calls, so that a loop's salt is written once, not with every draw.
     */
    drawer(prefix) {
      const kept = utf8(prefix);
      const start = TEXT - kept.length;
      const longest = start < FREE ? -1 : (PAGE - TEXT) / 3;
      return (text) => {
        if (text.length > longest) {
          const all = utf8(prefix + text);
          return drawOf(all, 0, all.length);
        }
        if (owner !== kept) {
          buffer.bytes.set(kept, start);
          owner = kept;
        }
        return draw(start, write(text, buffer, TEXT) - start);
      };
    },
  };
}

function inHalves() {
  const bytes = new Uint8Array(PAGE);
  const hash = (at, size) => hashOf(bytes, at, size);
  return engine('plain', bytes.buffer, hash, (at, size) => drawOf(bytes, at, size));
}

const wasm = compiled();

/** In 32-bit halves; the same answers. */
export const plainHash = inHalves();

/** The faster of the two that is allowed here. */
export const fastHash = wasm ? engine('wasm', wasm.memory.buffer, wasm.hash, wasm.draw) : plainHash;
