"""The error function with the same bits on every machine, as `stats.portable` has the exponential.

Method and coefficients: Ng, FDLIBM 5.3 (Sun Microsystems, 1995), `s_erf.c`: rational approximations on four ranges.
"""

import numpy as np

from foldline.kernels import numeric
from foldline.stats.portable import exp

_SMALL = 0.84375
_MIDDLE = 1.25
_LARGE = 1.0 / 0.35
_AT_ONE = 8.45062911510467529297e-01
_SQRT_TWO = 1.41421356237309504880

_PP = np.array([
    1.28379167095512558561e-01, -3.25042107247001499370e-01, -2.84817495755985104766e-02, -5.77027029648944159157e-03,
    -2.37630166566501626084e-05,
])  # fmt: skip
_QQ = np.array([
    1.0, 3.97917223959155352819e-01, 6.50222499887672944485e-02, 5.08130628187576562776e-03, 1.32494738004321644526e-04,
    -3.96022827877536812320e-06,
])  # fmt: skip
_PA = np.array([
    -2.36211856075265944077e-03, 4.14856118683748331666e-01, -3.72207876035701323847e-01, 3.18346619901161753674e-01,
    -1.10894694282396677476e-01, 3.54783043256182359371e-02, -2.16637559486879084300e-03,
])  # fmt: skip
_QA = np.array([
    1.0, 1.06420880400844228286e-01, 5.40397917702171048937e-01, 7.18286544141962662868e-02, 1.26171219808761642112e-01,
    1.36370839120290507362e-02, 1.19844998467991074170e-02,
])  # fmt: skip
_RA = np.array([
    -9.86494403484714822705e-03, -6.93858572707181764372e-01, -1.05586262253232909814e+01, -6.23753324503260060396e+01,
    -1.62396669462573470355e+02, -1.84605092906711035994e+02, -8.12874355063065934246e+01, -9.81432934416914548592e+00,
])  # fmt: skip
_SA = np.array([
    1.0, 1.96512716674392571292e+01, 1.37657754143519042600e+02, 4.34565877475229228821e+02, 6.45387271733267880336e+02,
    4.29008140027567833386e+02, 1.08635005541779435134e+02, 6.57024977031928170135e+00, -6.04244152148580987438e-02,
])  # fmt: skip
_RB = np.array([
    -9.86494292470009928597e-03, -7.99283237680523006574e-01, -1.77579549177547519889e+01, -1.60636384855821916062e+02,
    -6.37566443368389627722e+02, -1.02509513161107724954e+03, -4.83519191608651397019e+02,
])  # fmt: skip
_SB = np.array([
    1.0, 3.03380607434824582924e+01, 3.25792512996573918826e+02, 1.53672958608443695994e+03, 3.19985821950859553908e+03,
    2.55305040643316442583e+03, 4.74528541206955367215e+02, -2.24409524465858183362e+01,
])  # fmt: skip


@numeric
def _polynomial(coefficients: "np.ndarray[tuple[int], np.dtype[np.float64]]", x: float) -> float:
    total = 0.0
    for at in range(len(coefficients) - 1, -1, -1):
        total = total * x + coefficients[at]
    return total


@numeric
def erf(x: float) -> float:
    """2/√π ∫ e^(-t²) dt from 0 to x.

    Example:
        >>> erf(0.5), erf(-2.0)
        (0.5204998778130465, -0.9953222650189527)
    """
    if x != x:
        return x
    a = abs(x)
    if a < _SMALL:
        z = x * x
        return x + x * (_polynomial(_PP, z) / _polynomial(_QQ, z))
    if a < _MIDDLE:
        s = a - 1.0
        found = _AT_ONE + _polynomial(_PA, s) / _polynomial(_QA, s)
    elif a >= 6.0:
        found = 1.0
    else:
        s = 1.0 / (a * a)
        ratio = (
            _polynomial(_RA, s) / _polynomial(_SA, s)
            if a < _LARGE
            else _polynomial(_RB, s) / _polynomial(_SB, s)
        )
        # The square of a number of 24 bits is exact.
        z = np.float64(np.float32(a))
        found = 1.0 - exp(-z * z - 0.5625) * exp((z - a) * (z + a) + ratio) / a
    return found if x >= 0.0 else -found


@numeric
def normal_cdf(x: float) -> float:
    """The standard normal distribution function; absolute error below 2e-16, not relative.

    Example:
        >>> normal_cdf(0.0), normal_cdf(1.96)
        (0.5, 0.9750021048517796)
    """
    return 0.5 * (1.0 + erf(x / _SQRT_TWO))
