// SPDX-License-Identifier: Apache-2.0
// Training and validation loss over steps, as an SVG picture.
#pragma once

#include "metrics.hpp"
#include "spelling.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

namespace tool {

namespace detail {

/// 1, 2 or 5 times a power of ten: the distance of about `lines` grid lines over `range`.
inline double grid_distance(double range, double lines) {
    double const rough = range / lines, power = std::pow(10, std::floor(std::log10(rough)));
    for (double const m : {1.0, 2.0, 5.0})
        if (rough <= m * power) return m * power;
    return 10 * power;
}

inline std::string escape_xml(std::string const& text) {
    std::string out;
    for (char const c : text) {
        if (c == '&')
            out += "&amp;";
        else if (c == '<')
            out += "&lt;";
        else if (static_cast<unsigned char>(c) >= 0x20)
            out += c;
    }
    return out;
}

}  // namespace detail

/// 720 × 420. Training loss as a thin line, with its running mean when there are many steps; validation with dots.
inline std::string loss_plot(std::vector<loss_point> const& training, std::vector<loss_point> const& validation,
                             std::string const& title) {
    constexpr double left = 64, right = 696, top = 56, bottom = 364;
    char const *const train_colour = "#8ab6d6", *const mean_colour = "#1f6f9f", *const valid_colour = "#d1602d";

    double last_step = 1, most = 0;
    for (auto const* points : {&training, &validation})
        for (auto const& p : *points)
            last_step = std::max(last_step, static_cast<double>(p.step)), most = std::max(most, p.loss);
    double const y_grid = detail::grid_distance(most > 0 ? most : 1, 6),
                 y_end = std::max(1.0, std::ceil(most / y_grid)) * y_grid;
    double const x_grid = std::max(1.0, detail::grid_distance(last_step, 8));
    auto const x = [&](double step) { return left + (right - left) * step / last_step; };
    auto const y = [&](double loss) { return bottom - (bottom - top) * loss / y_end; };

    std::string s =
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"720\" height=\"420\" viewBox=\"0 0 720 420\" "
        "font-family=\"Helvetica, Arial, sans-serif\" font-size=\"12\" fill=\"#333\">\n"
        "<rect width=\"720\" height=\"420\" fill=\"#fff\"/>\n";
    s += "<text x=\"64\" y=\"30\" font-size=\"15\" font-weight=\"bold\">" + detail::escape_xml(title) + "</text>\n";
    int const decimals = y_grid >= 1 ? 0 : static_cast<int>(std::ceil(-std::log10(y_grid)));
    for (double v = 0; v <= y_end * 1.0001; v += y_grid)
        s += formatted(
            "<path d=\"M%.1f %.1fH%.1f\" stroke=\"#e4e4e4\"/><text x=\"%.1f\" y=\"%.1f\" "
            "text-anchor=\"end\">%.*f</text>\n",
            left, y(v), right, left - 8, y(v) + 4, decimals, v);
    for (double v = 0; v <= last_step * 1.0001; v += x_grid)
        s += formatted(
            "<path d=\"M%.1f %.1fv5\" stroke=\"#333\"/><text x=\"%.1f\" y=\"%.1f\" "
            "text-anchor=\"middle\">%.0f</text>\n",
            x(v), bottom, x(v), bottom + 20, v);
    s += formatted("<path d=\"M%.1f %.1fV%.1fH%.1f\" fill=\"none\" stroke=\"#333\"/>\n", left, top, bottom, right);
    s += formatted("<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">step</text>\n", (left + right) / 2, bottom + 42);
    s += formatted("<text transform=\"translate(18 %.1f) rotate(-90)\" text-anchor=\"middle\">loss per token</text>\n",
                   (top + bottom) / 2);

    auto const line = [&](std::vector<loss_point> const& points, char const* colour, double width) {
        if (points.size() < 2) return;
        s +=
            formatted("<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"%.1f\" stroke-linejoin=\"round\" points=\"",
                      colour, width);
        for (auto const& p : points) s += formatted("%.1f,%.1f ", x(static_cast<double>(p.step)), y(p.loss));
        s += "\"/>\n";
    };
    bool const smooth = training.size() >= 40;
    line(training, smooth ? train_colour : mean_colour, smooth ? 1 : 2);
    if (smooth) {
        std::vector<loss_point> mean;
        double const weight = 2 / (static_cast<double>(training.size()) / 20 + 1);
        for (auto const& p : training)
            mean.push_back({p.step, mean.empty() ? p.loss : mean.back().loss + weight * (p.loss - mean.back().loss)});
        line(mean, mean_colour, 2);
    }
    line(validation, valid_colour, 2);
    for (auto const& p : validation)
        s += formatted("<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3.5\" fill=\"%s\"/>\n", x(static_cast<double>(p.step)),
                       y(p.loss), valid_colour);

    double at = top + 14;
    auto const legend = [&](char const* colour, char const* name) {
        s += formatted(
            "<path d=\"M%.1f %.1fh24\" stroke=\"%s\" stroke-width=\"2\"/><text x=\"%.1f\" y=\"%.1f\">%s</text>\n",
            right - 150, at, colour, right - 118, at + 4, name);
        at += 18;
    };
    if (!training.empty()) legend(smooth ? train_colour : mean_colour, "training");
    if (smooth) legend(mean_colour, "training, mean");
    if (!validation.empty()) legend(valid_colour, "held out");
    return s + "</svg>\n";
}

}  // namespace tool
