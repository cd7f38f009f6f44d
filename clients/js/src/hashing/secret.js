/** The constants of XXH3 (Collet 2020, specification 0.2.0): primes, mixing factors and the default secret. */

export const PRIME32_1 = 0x9e3779b1n;
export const PRIME32_2 = 0x85ebca77n;
export const PRIME32_3 = 0xc2b2ae3dn;
export const PRIME64_1 = 0x9e3779b185ebca87n;
export const PRIME64_2 = 0xc2b2ae3d27d4eb4fn;
export const PRIME64_3 = 0x165667b19e3779f9n;
export const PRIME64_4 = 0x85ebca77c2b2ae63n;
export const PRIME64_5 = 0x27d4eb2f165667c5n;

/** Factor of the final mix. */
export const MIX = 0x165667919e3779f9n;

/** Factor of the mix of 4 to 8 bytes. */
export const SHORT_MIX = 0x9fb21c651e98df25n;

/** What the eight accumulators of a long input start with. */
export const START = [
  PRIME32_3, PRIME64_1, PRIME64_2, PRIME64_3, PRIME64_4, PRIME32_2, PRIME64_5, PRIME32_1,
];

export const SECRET = Uint8Array.from(
  (
    'b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671fcb79e64eccc0e578825ad07dccff7221' +
    'b8084674f743248ee03590e6813a264c3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8' +
    'a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364eac5ac8334d3ebc3c581a0fffa1363eb' +
    '170ddd51b7f0da49d316552629d4689e2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e'
  ).match(/../g),
  (pair) => parseInt(pair, 16),
);

const view = new DataView(SECRET.buffer);

/** The eight bytes of the secret at a place, little-endian, as a BigInt. */
export const secret64 = (at) => view.getBigUint64(at, true);

/** The four bytes of the secret at a place. */
export const secret32 = (at) => view.getUint32(at, true);
