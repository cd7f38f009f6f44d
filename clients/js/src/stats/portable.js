/**
 * Exponential and logarithm with the same bits everywhere: those of `foldline.stats.portable`, operation by operation.
 *
 * `Math.exp` and `Math.log` may differ from engine to engine; + − × ÷ and √ may not. Method and coefficients: Ng,
 * FDLIBM 5.3 (Sun Microsystems, 1995), `e_exp.c` and `e_log.c`.
 */

const LN2_HIGH = 6.93147180369123816490e-1;
const LN2_LOW = 1.90821492927058770002e-10;
const INVERSE_LN2 = 1.442695040888963387;
const SQRT_HALF = 0.7071067811865476;

const view = new DataView(new ArrayBuffer(8));

/** 2^k exactly, for k from -1074 to 1023. */
export function power(k) {
  if (k < -1022) view.setBigUint64(0, 1n << BigInt(k + 1074));
  else view.setBigUint64(0, BigInt(k + 1023) << 52n);
  return view.getFloat64(0);
}

const POWERS = Float64Array.from({ length: 2098 }, (_, i) => power(i - 1074));

/** [m, k] with x = m · 2^k and 1/2 <= |m| < 1; [x, 0] for 0, infinities and NaN. */
export function frexp(x) {
  if (x === 0 || !Number.isFinite(x)) return [x, 0];
  view.setFloat64(0, x);
  let high = view.getInt32(0);
  let k = ((high >>> 20) & 0x7ff) - 1022;
  if (k === -1022) {
    // Below the normal numbers: scaled up into them, exactly.
    view.setFloat64(0, x * 18014398509481984);
    high = view.getInt32(0);
    k = ((high >>> 20) & 0x7ff) - 1022 - 54;
  }
  view.setInt32(0, (high & ~0x7ff00000) | (1022 << 20));
  return [view.getFloat64(0), k];
}

/** e^x; 0 below -708, infinity above 709. */
export function exp(x) {
  if (x !== x) return x;
  if (x < -708) return 0;
  if (x > 709) return Infinity;
  const k = Math.floor(x * INVERSE_LN2 + 0.5);
  const high = x - k * LN2_HIGH;
  const low = k * LN2_LOW;
  const r = high - low;
  const t = r * r;
  const c =
    r -
    t *
      (1.66666666666666019037e-1 +
        t *
          (-2.77777777770155933842e-3 +
            t *
              (6.61375632143793436117e-5 +
                t * (-1.6533902205465251539e-6 + t * 4.13813679705723846039e-8))));
  const y = 1 - (low - (r * c) / (2 - c) - high);
  return y * POWERS[k + 1074];
}

/** Natural logarithm; -infinity at 0, NaN below. */
export function log(x) {
  if (x !== x || x < 0) return NaN;
  if (x === 0) return -Infinity;
  if (x === Infinity) return x;
  let [m, k] = frexp(x);
  if (m < SQRT_HALF) {
    m *= 2;
    k -= 1;
  }
  const f = m - 1;
  const s = f / (2 + f);
  const z = s * s;
  const w = z * z;
  const t1 =
    w * (3.999999999940941908e-1 + w * (2.222219843214978396e-1 + w * 1.531383769920937332e-1));
  const t2 =
    z *
    (6.666666666666735130e-1 +
      w * (2.857142874366239149e-1 + w * (1.818357216161805012e-1 + w * 1.479819860510658591e-1)));
  const half = 0.5 * f * f;
  return k * LN2_HIGH - (half - (s * (half + t1 + t2) + k * LN2_LOW) - f);
}

/** log(1 + x) for x > -1, accurate near 0 too (Kahan, in Goldberg 1991, theorem 4). */
export function log1p(x) {
  const u = 1 + x;
  if (u === 1) return x;
  if (u === Infinity) return u;
  return log(u) * (x / (u - 1));
}
