"""Exponential and logarithm with the same bits on every machine.

Library versions differ in the last bits with the operating system and with the processor's vector unit, so a
table computed with them cannot be recomputed elsewhere. These use + − × ÷ and exact scalings by powers of two
only, which IEEE 754 fixes; the kernels are compiled without reassociation or fused operations. Errors are below
two units in the last place. Method and coefficients: Ng, FDLIBM 5.3 (Sun Microsystems, 1995), `e_exp.c` and
`e_log.c`.
"""

import math

import numpy as np

from foldline.kernels import numeric

_LN2_HIGH = 6.93147180369123816490e-01
_LN2_LOW = 1.90821492927058770002e-10
_INVERSE_LN2 = 1.44269504088896338700e00
_SQRT_HALF = 0.70710678118654752440

_POWERS = np.array([math.ldexp(1.0, k) for k in range(-1074, 1024)])
"""2^k at index k + 1074."""


@numeric
def exp(x: float) -> float:
    """e^x; 0 below -708, infinity above 709.

    Example:
        >>> exp(1.0)
        2.7182818284590455
    """
    if x != x:
        return x
    if x < -708.0:
        return 0.0
    if x > 709.0:
        return math.inf
    k = math.floor(x * _INVERSE_LN2 + 0.5)
    high = x - k * _LN2_HIGH
    low = k * _LN2_LOW
    r = high - low
    t = r * r
    c = r - t * (
        1.66666666666666019037e-01
        + t
        * (
            -2.77777777770155933842e-03
            + t
            * (
                6.61375632143793436117e-05
                + t * (-1.65339022054652515390e-06 + t * 4.13813679705723846039e-08)
            )
        )
    )
    y = 1.0 - ((low - (r * c) / (2.0 - c)) - high)
    return float(y * _POWERS[int(k) + 1074])


@numeric
def log(x: float) -> float:
    """Natural logarithm; -infinity at 0, NaN below.

    Example:
        >>> log(10.0)
        2.302585092994046
    """
    if x != x or x < 0.0:
        return math.nan
    if x == 0.0:
        return -math.inf
    if x == math.inf:
        return x
    m, k = math.frexp(x)
    if m < _SQRT_HALF:
        m *= 2.0
        k -= 1
    f = m - 1.0
    s = f / (2.0 + f)
    z = s * s
    w = z * z
    t1 = w * (3.999999999940941908e-01 + w * (2.222219843214978396e-01 + w * 1.531383769920937332e-01))
    t2 = z * (
        6.666666666666735130e-01
        + w * (2.857142874366239149e-01 + w * (1.818357216161805012e-01 + w * 1.479819860511658591e-01))
    )
    half = 0.5 * f * f
    return k * _LN2_HIGH - ((half - (s * (half + t1 + t2) + k * _LN2_LOW)) - f)


@numeric
def log1p(x: float) -> float:
    """log(1 + x) for x > -1, accurate near 0 too (Kahan, in Goldberg 1991, theorem 4).

    Example:
        >>> log1p(1e-20)
        1e-20
    """
    u = 1.0 + x
    if u == 1.0:
        return x
    if u == math.inf:
        return u
    return log(u) * (x / (u - 1.0))
